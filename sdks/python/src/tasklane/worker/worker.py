"""The worker: what it serves, how much at once, and until when."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any, Literal, Optional

from ..duration import Duration, seconds
from . import call, capture, processes, settings
from .attempt import Attempt, Outcome
from .coroutines import Coroutines
from .ledger import COROUTINE, PLAIN, Ledger
from .pump import Pump
from .threads import Run, Threads, forcer

if TYPE_CHECKING:
    from ..app import App
    from ..client import Client

log = logging.getLogger("tasklane.worker")


class Worker:
    """Works on the tasks of an app.

    `concurrency`: most handlers at once. `mode`: plain functions run in `"threads"`, or all handlers in `"processes"`,
    which need tasks at the top of modules and an `if __name__ == "__main__":` before `run`. `queues`: takes of these
    only; of every queue unless said. `name`: the label the server shows. `lease`: how long a task of a worker that died
    waits, one second to one hour. `grace`: how long running tasks may take to finish once the worker is to end. `wait`:
    how long the server may hold a request for work, one second to 30.
    """

    def __init__(
        self,
        app: App,
        concurrency: int = 8,
        *,
        mode: Literal["threads", "processes"] = "threads",
        queues: Optional[Sequence[str]] = None,
        name: Optional[str] = None,
        lease: Duration = "30s",
        grace: Duration = "30s",
        wait: Duration = "20s",
    ):
        if not app.tasks:
            raise ValueError("the app has no task to work on")
        if concurrency < 1:
            raise ValueError("concurrency is at least 1")
        if mode not in ("threads", "processes"):
            raise ValueError(f"mode is threads or processes, not {mode!r}")
        self._app, self._concurrency, self._mode = app, concurrency, mode
        #: The label the server shows.
        self.name = name or f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._lease = min(max(seconds(lease), 1.0), 3600.0)
        self._grace = seconds(grace)
        # What a wish brings may have been leased when its wait began.
        self._wait = min(max(seconds(wait), 1.0), 30.0, self._lease * 2 / 3)
        types = list(app.tasks)
        self._lanes: list[dict[str, Any]] = [{"queue": it, "types": types} for it in queues or ["*"]]
        self._pump: Optional[Pump] = None
        self._stopping = False
        self._signals = 0

    def run(self) -> None:
        """Works until `stop`, SIGTERM or Ctrl-C, then drains; a second signal ends it at once. Signals are heard in the
        main thread only.

        Raises `Refused` if the server does not let it work; a server that is away is waited for.
        """
        processes.refuse_inside()
        if self._mode == "processes":
            processes.check(self._app.tasks)
        with self._signals_heard(), capture.installed():
            asyncio.run(self._work(self._app.client()))

    def stop(self) -> None:
        """Asks the worker to drain and end; from any thread."""
        self._stopping = True
        if self._pump is not None:
            self._app.client().soon(self._pump.drain)

    async def _work(self, client: Client) -> None:
        ledger = Ledger(self._concurrency)
        owned: list[processes.Process] = []
        threads = Threads(ledger, lambda: self._runs(owned))
        coroutines = Coroutines(ledger, self._app.tasks)
        ledger.offer = [threads.offer, coroutines.offer]

        def give_up(attempt: Attempt) -> None:
            if self._kind(attempt.type) == PLAIN:
                threads.replace()

        async def pump() -> None:
            self._pump = Pump(
                client.http, ledger, self.name, self._lanes, self._lease, self._wait, self._kind, give_up
            )
            if self._stopping:
                self._pump.drain()
            log.info("worker %s works for %s on %s", self.name, self._app.url, ", ".join(self._app.tasks))
            await self._pump.run(self._grace)

        try:
            await client.apart(pump())
        finally:
            threads.close()
            for process in owned:
                process.end()

    def _kind(self, type: str) -> int:
        task = self._app.tasks[type]
        return COROUTINE if task.signature.is_async and self._mode == "threads" else PLAIN

    def _runs(self, owned: list[processes.Process]) -> Run:
        """What runs attempts in a new thread."""
        tasks = self._app.tasks
        if self._mode == "processes":
            owned.append(processes.Process(tasks))
            return owned[-1]
        force = forcer()

        def run(attempt: Attempt) -> Outcome:
            attempt.on_force = force
            return call.run(tasks[attempt.type], attempt.leased, attempt)

        return run

    @contextlib.contextmanager
    def _signals_heard(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {it: signal.signal(it, self._hear) for it in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _: Any) -> None:
        self._signals += 1
        if self._signals == 1:
            self.stop()
            return
        # The main thread may be in the middle of anything, so the client's thread does the work.
        if self._pump is not None:
            with contextlib.suppress(FutureTimeout):
                self._app.client().start(self._pump.give_back_all()).result(settings.AT_ONCE + 1)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(128 + number)
