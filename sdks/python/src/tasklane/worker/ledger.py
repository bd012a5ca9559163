"""The ledger: what this worker holds, what it has to say, and how much more it may take. Pure, under one lock.

A slot is taken by an attempt from its lease until the exchange that reported its outcome came back, so outcomes that
cannot be reported are bounded by the slots, too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Optional

from . import settings
from .attempt import CANCELLED, HERE, LOST, NO, REASONS, TOO_LONG, Attempt, Outcome
from .text import dumps

# Who runs it: a thread (itself, or through its process), or the event loop.
PLAIN, COROUTINE = 0, 1
# How far the worker's life has come.
WORKING, DRAINING, OVER = range(3)

RELEASE: Outcome = ("release", "")
CANCEL: Outcome = ("cancelled", "")


def given_up(stop: int) -> Outcome:
    """The outcome of an attempt that this worker ended itself."""
    if stop == TOO_LONG:
        return "fail", f',"kind":"timeout","message":{dumps(REASONS[TOO_LONG])}'
    return CANCEL if stop == CANCELLED else RELEASE


def judge(stop: int, outcome: Outcome) -> Optional[Outcome]:
    """What an outcome is worth, seen what the attempt was told: nothing after its lease was lost, and no failure where
    only this worker's own end stopped it."""
    if stop == NO:
        return outcome
    if stop == LOST:
        return None
    return given_up(stop) if outcome[0] in ("fail", "cancelled", "release") else outcome


class Ledger:
    """See the module. `nudge` wakes the pumps, `offer` those who run; both may be called under the lock."""

    def __init__(self, concurrency: int):
        self.concurrency = concurrency
        self.lock = threading.Condition(threading.Lock())
        self.nudge: Callable[[], object] = lambda: None
        self.offer: list[Callable[[], object]] = [lambda: None, lambda: None]
        self.phase = WORKING
        #: By lease: not yet ended.
        self.held: dict[str, Attempt] = {}
        self.ready: tuple[deque[Attempt], deque[Attempt]] = (deque(), deque())
        self.running: set[Attempt] = set()
        self.outbox: deque[tuple[Attempt, Outcome]] = deque()
        #: With words that wait, and with words whose time has come.
        self.talking: dict[Attempt, None] = {}
        self.due: dict[Attempt, None] = {}
        #: Ended, but their words are on their way.
        self.parked = 0
        #: Slots that exchanges in flight may need, and outcomes in them.
        self.reserved = 0
        self.reporting = 0
        self._mean: Optional[float] = None

    def free(self) -> int:
        """Slots that nothing holds and no exchange in flight may fill: one a handler, and some work ahead of them."""
        return self.concurrency + self._ahead() - len(self.held) - len(self.outbox) - self.parked - self.reserved

    def _ahead(self) -> int:
        if self._mean is None:
            return 0
        return min(settings.AHEAD_TASKS, int(self.concurrency * settings.AHEAD / max(self._mean, 1e-6)))

    def took(self, seconds: float) -> None:
        """Learns how long handlers take: quickly that they are slow, slowly that they are fast."""
        mean = self._mean
        self._mean = seconds if mean is None else mean + (seconds - mean) * (0.3 if seconds > mean else 0.1)

    def next(self, kind: int) -> Optional[Attempt]:
        """The next attempt to begin, if it is of this kind and there is room."""
        queue, other = self.ready[kind], self.ready[1 - kind]
        while queue and queue[0].lease not in self.held:
            queue.popleft()
        if not queue or len(self.running) >= self.concurrency:
            return None
        if other and other[0].order < queue[0].order and other[0].lease in self.held:
            self.offer[1 - kind]()
            return None
        attempt = queue.popleft()
        attempt.began = time.monotonic()
        self.running.add(attempt)
        return attempt

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt ended. Nothing more happens if it was given up before."""
        if attempt in self.running:
            self.running.discard(attempt)
            self.took(time.monotonic() - attempt.began)
        if self.held.pop(attempt.lease, None) is None:
            return
        judged = judge(attempt.stop, outcome)
        if judged is None:
            self.talking.pop(attempt, None)
            self.due.pop(attempt, None)
        elif attempt.in_flight:
            attempt.parked = judged
            self.parked += 1
        else:
            self._say(attempt, judged)
        for kind in (PLAIN, COROUTINE):
            if self.ready[kind] and self.phase == WORKING:
                self.offer[kind]()
        self.nudge()

    def _say(self, attempt: Attempt, outcome: Outcome) -> None:
        self.outbox.append((attempt, outcome))
        if attempt.talking:
            self.talking.pop(attempt, None)
            self.due[attempt] = None

    def speaks(self, attempt: Attempt) -> None:
        """It has words that are to go out."""
        if not attempt.talking and attempt.lease in self.held:
            attempt.talking = True
            attempt.said = time.monotonic()
            self.talking[attempt] = None

    def landed(self, attempt: Attempt) -> None:
        """A report with its words was answered, or has failed."""
        attempt.in_flight -= 1
        if attempt.parked is not None and not attempt.in_flight:
            outcome, attempt.parked = attempt.parked, None
            self.parked -= 1
            self._say(attempt, outcome)

    def take_in(self, attempts: list[tuple[Attempt, int]]) -> None:
        """Takes what was leased, unless the same lease is here already (an answer that was repeated)."""
        kinds = set()
        for attempt, kind in attempts:
            if attempt.lease not in self.held:
                self.held[attempt.lease] = attempt
                self.ready[kind].append(attempt)
                kinds.add(kind)
        if self.phase != WORKING:
            self.give_back_ready()
        for kind in kinds:
            self.offer[kind]()

    def give_back_ready(self, before: float = float("inf")) -> None:
        """Gives back, unspent, what has not begun and was leased before then."""
        for queue in self.ready:
            for attempt in [it for it in queue if it.arrived < before]:
                queue.remove(attempt)
                self.end(attempt, RELEASE)

    def tell(self, attempt: Attempt, stop: int) -> None:
        """Tells an attempt to stop; what counts less than an earlier word is ignored."""
        if stop <= attempt.stop or attempt.lease not in self.held:
            return
        attempt.told_at = attempt.told_at or time.monotonic()
        attempt.stop = stop
        if not attempt.began:
            self.end(attempt, given_up(stop))
        elif attempt.on_tell is not None:
            attempt.on_tell()

    def tell_all(self, stop: int = HERE) -> None:
        """Tells every attempt to stop."""
        for attempt in list(self.held.values()):
            self.tell(attempt, stop)

    def of_tasks(self, ids: list[str]) -> list[Attempt]:
        """The attempts of these tasks."""
        wanted = set(ids)
        return [it for it in self.held.values() if it.id in wanted] if wanted else []

    def all_said(self) -> bool:
        """Whether nothing is left to be said."""
        return not (self.outbox or self.reporting or self.parked or self.held)
