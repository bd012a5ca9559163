"""Handlers in processes: each thread of the worker owns one, and gives it an attempt at a time."""

from __future__ import annotations

import json
import logging
import multiprocessing
import signal
import threading
from collections.abc import Mapping
from typing import Any, Optional

from ..task import Task
from . import child
from .attempt import REASONS, Attempt, Outcome
from .call import failure

log = logging.getLogger("tasklane.worker")

# A fresh interpreter: forking a process with threads is not safe.
_spawn = multiprocessing.get_context("spawn")
END_SECONDS = 2.0
"""How long a process may take to end when there is no more work."""


class Process:
    """A process that runs handlers; begun with its first attempt, and again after it died."""

    def __init__(self, tasks: Mapping[str, Task[..., Any]]):
        self._tasks = tasks
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Any = None

    def __call__(self, attempt: Attempt) -> Outcome:
        """Runs an attempt; its process dying is an outcome, too."""
        try:
            self._ensure()
            return self._run(attempt)
        except Exception as error:
            log.exception("task %s cannot be run in a process", attempt.id)
            # What it says next may be of this attempt, so no other one is given to it.
            self._kill()
            self.end()
            return failure("error", f"the task cannot be run in a process: {error!r}")

    def _ensure(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        self.end()
        near, far = _spawn.Pipe()
        process = _spawn.Process(target=child.main, args=(far,), name="tasklane-handler")
        try:
            process.start()
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        self._pipe, self._process = near, process

    def _run(self, attempt: Attempt) -> Outcome:
        task = self._tasks[attempt.type]
        with attempt.ledger.lock:
            attempt.on_tell = lambda: self._send({"stop": attempt.stop})
            attempt.on_force = self._kill
        try:
            self._send({"module": task.__module__, "path": task.__qualname__, "leased": attempt.leased})
            if attempt.stopped:
                self._send({"stop": attempt.stop})
            return self._listen(attempt)
        except (EOFError, OSError):
            return self._died(attempt)
        finally:
            with attempt.ledger.lock:
                attempt.on_tell = attempt.on_force = None

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            try:
                self._pipe.send_bytes(json.dumps(message).encode("ascii"))
            except OSError:
                pass  # It has died, which the thread that listens to it sees.

    def _listen(self, attempt: Attempt) -> Outcome:
        while True:
            message = json.loads(self._pipe.recv_bytes())
            word = message.pop("say")
            if word == "outcome":
                return message["list"], message["members"]
            if word == "log":
                attempt.log(message["level"], message["message"], message["fields"])
            elif word == "progress":
                attempt.progress(message["members"])
            elif word == "checkpoint":
                attempt.checkpoint(message["name"], message["data"])

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _died(self, attempt: Attempt) -> Outcome:
        self._process.join()
        code: Optional[int] = self._process.exitcode
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else f"signal {-code}"
        if attempt.stopped:
            how += f", as {REASONS[attempt.stop]}"
        log.warning("the process of task %s ended: %s", attempt.id, how)
        return failure("killed", f"the handler's process ended: {how}")

    def end(self) -> None:
        """Ends the process; there is no more work."""
        if self._process is not None:
            self._pipe.close()
            self._process.join(END_SECONDS)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None


def refuse_inside() -> None:
    """Raises `RuntimeError` in a handler's process that imports the program: there it must not work, too."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError('a program whose handlers run in processes calls run behind if __name__ == "__main__":')


def check(tasks: Mapping[str, Task[..., Any]]) -> None:
    """Raises `ValueError` for a task that another process could not find."""
    for name, task in tasks.items():
        try:
            found: Any = child.find(task.__module__, task.__qualname__)
        except (AttributeError, ImportError, KeyError):
            found = None
        if getattr(found, "name", None) != name:
            where = f"{task.__module__}.{task.__qualname__}"
            raise ValueError(f"a process cannot find task {name!r} as {where}; define it at the top of a module")
