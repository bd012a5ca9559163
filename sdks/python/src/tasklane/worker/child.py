"""The inside of a handler's process: takes attempts from a pipe, runs them one at a time, says what they say."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from functools import reduce
from typing import Any, Optional

from . import call, capture
from .attempt import Outcome, Printing


def find(module: str, path: str) -> Any:
    """The task that stands there."""
    return reduce(getattr, path.split("."), importlib.import_module(module))


class Pipe(Printing):
    """The attempt as its own process sees it: what it says goes to the worker."""

    __slots__ = ("_lock", "_pipe", "loop", "stopped", "task")

    def __init__(self, pipe: Any, lock: threading.Lock):
        super().__init__()
        self._pipe, self._lock = pipe, lock
        self.stopped = False
        self.task: Optional[asyncio.Task[Outcome]] = None
        self.loop: Optional[asyncio.AbstractEventLoop] = None

    def say(self, word: str, **members: Any) -> None:
        """Tells the worker."""
        data = json.dumps({"say": word, **members}).encode("ascii")
        with self._lock:
            self._pipe.send_bytes(data)

    def progress(self, members: dict[str, Any]) -> None:
        self.say("progress", members=members)

    def log(self, level: str, message: str, fields: Optional[Mapping[str, Any]]) -> None:
        self.say("log", level=level, message=message, fields=fields)

    def checkpoint(self, name: str, data: Any) -> None:
        self.say("checkpoint", name=name, data=data)

    def stop(self) -> None:
        """Tells the handler to stop; a coroutine is cancelled."""
        self.stopped = True
        if self.loop is not None and self.task is not None:
            self.loop.call_soon_threadsafe(self.task.cancel)


def main(pipe: Any) -> None:
    """Runs attempts until the pipe is closed. Signals are the worker's business."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    work: queue.SimpleQueue[tuple[dict[str, Any], Pipe]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, work), daemon=True).start()
    with capture.installed():
        while True:
            message, sink = work.get()
            kind, members = _run(message, sink)
            sink.say("outcome", list=kind, members=members)


def _listen(pipe: Any, work: queue.SimpleQueue[tuple[dict[str, Any], Pipe]]) -> None:
    lock = threading.Lock()
    sink = Pipe(pipe, lock)
    while True:
        try:
            message = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            # The worker has no more work, or is gone.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        if "stop" in message:
            sink.stop()
        else:
            sink = Pipe(pipe, lock)
            work.put((message, sink))


def _run(message: dict[str, Any], sink: Pipe) -> Outcome:
    try:
        task = find(message["module"], message["path"])
    except (AttributeError, ImportError, KeyError) as error:
        return call.failure("error", f"the handler's process cannot find the task: {error!r}")
    if not task.signature.is_async:
        return call.run(task, message["leased"], sink)
    return asyncio.run(_run_async(task, message["leased"], sink))


async def _run_async(task: Any, leased: dict[str, Any], sink: Pipe) -> Outcome:
    sink.task = asyncio.create_task(call.run_async(task, leased, sink))
    sink.loop = asyncio.get_running_loop()
    if sink.stopped:
        sink.task.cancel()
    try:
        return await sink.task
    except asyncio.CancelledError as error:
        return call.failed(error)


