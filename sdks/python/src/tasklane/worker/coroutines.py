"""Coroutine functions on one event loop, each attempt a task of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..task import Task
from . import call
from .attempt import Attempt
from .ledger import CANCEL, COROUTINE, Ledger

log = logging.getLogger("tasklane.worker")


class Coroutines:
    """Begins what is ready, on the loop it is made on."""

    def __init__(self, ledger: Ledger, tasks: Mapping[str, Task[..., Any]]):
        self._ledger, self._tasks = ledger, tasks
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self._offered = False

    def offer(self) -> None:
        """There may be work; called under the ledger's lock."""
        if not self._offered:
            self._offered = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._offered = False
        while True:
            with self._ledger.lock:
                attempt = self._ledger.next(COROUTINE)
            if attempt is None:
                return
            task = self._loop.create_task(self._run(attempt))
            self._running.add(task)
            task.add_done_callback(partial(self._done, attempt))
            self._listen(attempt, task)

    def _done(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            # Before its first step.
            with self._ledger.lock:
                self._ledger.end(attempt, CANCEL)

    def _listen(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        def cancel() -> None:
            self._loop.call_soon_threadsafe(task.cancel)

        with self._ledger.lock:
            attempt.on_tell = cancel
            attempt.on_force = cancel
            if attempt.stopped:
                cancel()

    async def _run(self, attempt: Attempt) -> None:
        try:
            outcome = await call.run_async(self._tasks[attempt.type], attempt.leased, attempt)
        except Exception as error:
            # Without an outcome its lease would be renewed for ever.
            log.exception("task %s could not be run", attempt.id)
            outcome = call.failed(error)
        with self._ledger.lock:
            attempt.on_tell = attempt.on_force = None
            self._ledger.end(attempt, outcome)
