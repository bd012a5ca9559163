"""The Python worker that stories strike at: `worker.py URL NAME LEDGER GATE [MODE [LEASE]]`.

It does what `story-worker` does: what its handler does is written into a ledger outside the system, and a first attempt
whose payload says `"hold": true` waits until the file GATE is there, with `"effects": true` writing again and again that it
works, and ending when it is told to stop. It serves the queue STORY_QUEUE. Tasks of type `pill` end their process.
"""

import ctypes
import os
import signal
import sys
import time

from tasklane import CTX, App

url, name, ledger, gate, *rest = sys.argv[1:]
mode, lease, *_ = [*rest, *["threads", "2s"][len(rest) :]]
app = App(url=url)
lines = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(line):
    os.write(lines, (line + "\n").encode())


@app.task(name="story")
def story(hold=False, effects=False, freeze=0, seconds=0, *, ctx=CTX):
    write(f"started {ctx.id} {ctx.attempt} {name}")
    time.sleep(seconds)
    if freeze and ctx.attempt == 1:
        ctypes.PyDLL(None).sleep(freeze)  # Holds the interpreter, as a long regular expression would.
    while hold and ctx.attempt == 1 and not os.path.exists(gate):
        if effects:
            write(f"effect {ctx.id} {ctx.attempt} {name}")
            if ctx.cancelled:
                return None
        time.sleep(0.02)
    write(f"ended {ctx.id} {ctx.attempt} {name}")
    return f"attempt {ctx.attempt} by {name}"


@app.task(name="pill")
def pill(how, *, ctx=CTX):
    write(f"started {ctx.id} {ctx.attempt} {name}")
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(1)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    app.run(concurrency=4, mode=mode, name=name, lease=lease, queues=[os.environ["STORY_QUEUE"]])
