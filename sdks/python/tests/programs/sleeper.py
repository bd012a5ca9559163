"""A worker of tasks that take their time; it says what begins and ends. `sleeper.py QUEUE MODE [LEASE]`."""

import asyncio
import ctypes
import os
import signal
import sys
import time

from tasklane import CTX, App

app = App()


def say(line):
    os.write(1, (line + "\n").encode())


@app.task()
def sleep(seconds, *, ctx=CTX):
    say(f"begins {ctx.attempt}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    say("ends")
    return "slept"


@app.task()
def patient(*, ctx=CTX):
    """Ends when it is told to."""
    say("begins")
    while not ctx.cancelled:
        time.sleep(0.01)
    say("told")


@app.task()
async def forever():
    say("begins")
    try:
        await asyncio.sleep(3600)
    finally:
        say("ends")


@app.task()
def hold(seconds):
    """Holds the interpreter, as a long regular expression would: no other thread runs meanwhile."""
    say("begins")
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


@app.task()
def die():
    os.kill(os.getpid(), signal.SIGSEGV)


@app.task()
def where():
    return os.getpid()


if __name__ == "__main__":
    queue, mode, *lease = sys.argv[1:]
    app.run(concurrency=2, mode=mode, queues=[queue], lease=(lease or ["30s"])[0], grace="20s")
    say("drained")
