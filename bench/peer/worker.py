"""A worker of the Python SDK whose handler counts and does nothing else: `worker.py DIR threads|asyncio CONCURRENCY`.

It tells what it did as every measured worker does: three little-endian 64-bit numbers in `DIR/progress/<pid>` (tasks
handled, start of the first, end of the last, ns of `CLOCK_MONOTONIC`), here in a file that is mapped into memory.
"""

import logging
import mmap
import os
import struct
import sys
import threading
import time

from tasklane import App

folder, handlers, concurrency = sys.argv[1:]
path = os.path.join(folder, "progress", str(os.getpid()))
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "wb+") as file:
    file.write(bytes(24))
    file.flush()
    tally = mmap.mmap(file.fileno(), 24)
lock = threading.Lock()
count = first = 0


def note() -> None:
    global count, first
    at = time.monotonic_ns()
    with lock:
        count += 1
        first = first or at
        struct.pack_into("<qqq", tally, 0, count, first, time.monotonic_ns())


app = App()
# Nothing of the program's own on the bench's output.
logging.getLogger().addHandler(logging.NullHandler())

if handlers == "threads":

    @app.task(name="bench.noop")
    def noop(user: int, kind: str, to: str, ref: str, t: int) -> None:
        note()

else:

    @app.task(name="bench.noop")
    async def anoop(user: int, kind: str, to: str, ref: str, t: int) -> None:
        note()


if __name__ == "__main__":
    app.run(concurrency=int(concurrency))
