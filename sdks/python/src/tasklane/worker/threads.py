"""Plain functions in threads: as many as there is work for, at most `concurrency`."""

from __future__ import annotations

import ctypes
import logging
import threading
from typing import Callable, Optional

from ..outcome import Stopped
from .attempt import NO, Attempt, Outcome
from .call import failed
from .ledger import OVER, PLAIN, Ledger

log = logging.getLogger("tasklane.worker")

Run = Callable[[Attempt], Outcome]


class Threads:
    """Begins what is ready. `make` makes what runs attempts in a new thread: it may own something, such as a process."""

    def __init__(self, ledger: Ledger, make: Callable[[], Run]):
        self._ledger, self._make = ledger, make
        self._threads = 0
        self._idle = 0

    def offer(self) -> None:
        """There may be work; called under the ledger's lock."""
        ledger = self._ledger
        room = min(len(ledger.ready[PLAIN]), ledger.concurrency - len(ledger.running))
        if room > self._idle and self._threads < ledger.concurrency:
            for _ in range(min(room - self._idle, ledger.concurrency - self._threads)):
                self._threads += 1
                thread = threading.Thread(target=self._work, name="tasklane-handler", daemon=True)
                thread.start()
        if self._idle and room:
            ledger.lock.notify(room)

    def close(self) -> None:
        """Lets idle threads end."""
        with self._ledger.lock:
            self._ledger.lock.notify_all()

    def replace(self) -> None:
        """A thread was given up: another one may take its place. Called under the ledger's lock."""
        self._threads -= 1

    def _work(self) -> None:
        try:
            run = self._make()
        except BaseException:
            log.exception("a thread for handlers could not begin")
            with self._ledger.lock:
                self._threads -= 1
            return
        ended: Optional[tuple[Attempt, Outcome]] = None
        while True:
            try:
                attempt = self._next(ended)
                ended = None
                if attempt is None:
                    break
                ended = attempt, _run(run, attempt)
                if attempt.stop != NO:
                    _leave(attempt)
            except Stopped:
                # Raised a moment too late, when the handler had ended by itself.
                continue

    def _next(self, ended: Optional[tuple[Attempt, Outcome]]) -> Optional[Attempt]:
        ledger = self._ledger
        with ledger.lock:
            if ended is not None:
                ledger.end(*ended)
                if ended[0].abandoned:
                    return None
            while (attempt := ledger.next(PLAIN)) is None:
                if ledger.phase == OVER:
                    self._threads -= 1
                    return None
                self._idle += 1
                try:
                    ledger.lock.wait()
                finally:
                    self._idle -= 1
            return attempt


def _run(run: Run, attempt: Attempt) -> Outcome:
    """Whatever happens, the attempt ends: without an outcome its lease would be renewed for ever."""
    try:
        return run(attempt)
    except BaseException as error:
        if attempt.stop == NO:
            log.exception("task %s could not be run", attempt.id)
        return failed(error)


def forcer() -> Callable[[], None]:
    """What makes an attempt stop that runs in this thread: `Stopped` is raised in it."""
    ident = ctypes.c_ulong(threading.get_ident())

    def force() -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Stopped))

    return force


def _leave(attempt: Attempt) -> None:
    """From here on nothing is raised in this thread any more: what was on its way is swallowed or taken back."""
    while True:
        try:
            with attempt.ledger.lock:
                attempt.on_force = None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)
            return
        except Stopped:
            continue
