"""What the next exchange says and wants, and what becomes of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Optional

from . import settings
from .attempt import Attempt, Outcome, Words
from .call import failure
from .ledger import WORKING, Ledger

# What a report says. After one with words and outcomes was refused they go by turns, until it is known which it was.
BOTH, WORDS, OUTCOMES = range(3)
LISTS = ("succeed", "fail", "release", "snooze", "cancelled")


@dataclass
class Want:
    """A wish for tasks; a limit of 0 only listens for cancellations."""

    limit: int
    wait: float


@dataclass
class Plan:
    """One exchange, as it was planned."""

    want: Optional[Want] = None
    words: list[Words] = field(default_factory=list)
    outcomes: list[tuple[Attempt, Outcome]] = field(default_factory=list)
    reserved: int = 0

    @property
    def speaks(self) -> bool:
        """Whether it says anything."""
        return bool(self.words or self.outcomes)

    @property
    def waits(self) -> bool:
        """Whether it only waits, so that nothing is lost by giving it up."""
        return self.want is not None and self.want.wait > 0

    def report(self, worker: str, want: Optional[dict[str, Any]]) -> bytes:
        """The body of the report."""
        lists: dict[str, list[str]] = {"progress": [], "logs": [], "checkpoints": [], **{it: [] for it in LISTS}}
        for words in self.words:
            item = words.progress_item()
            if item is not None:
                lists["progress"].append(item)
            lists["logs"] += words.logs
            lists["checkpoints"] += words.checkpoints
        for attempt, (name, members) in self.outcomes:
            lists[name].append(f"{attempt.key}{members}}}")
        body = f'{{"worker":{json.dumps(worker)}'
        for name, items in lists.items():
            if items:
                body += f',"{name}":[{",".join(items)}]'
        if want is not None:
            body += f',"want":{json.dumps(want)}'
        return (body + "}").encode("utf-8")


class Planner:
    """Plans exchanges over a ledger; its methods are called under the ledger's lock."""

    def __init__(self, ledger: Ledger, wait: float):
        self._ledger, self._wait = ledger, wait
        #: Exchanges in flight that want work, and that listen.
        self._wanting = 0
        self._listening = 0
        #: All slots are taken for a while.
        self.full = False
        #: The last wish was granted in full: there is likely more.
        self._busy = False
        #: Most outcomes of the next report; falls while the server refuses, to find the one it refuses.
        self._most = settings.REPORT_OUTCOMES
        #: Most attempts whose words the next report carries; falls likewise.
        self._most_talking = settings.REPORT_OUTCOMES
        self._turn = BOTH

    def plan(self) -> Optional[Plan]:
        """What the next exchange says and wants; `None` where there is nothing to do."""
        plan = Plan()
        ledger = self._ledger
        if ledger.outbox or ledger.due:
            self._take_turn(plan)
        plan.want = self._want(plan.speaks)
        if plan.want is None and not plan.speaks:
            return None
        if plan.want is not None:
            self._wanting += plan.want.limit > 0
            self._listening += plan.want.limit == 0
        plan.reserved = max(len(plan.outcomes), plan.want.limit if plan.want else 0)
        ledger.reserved += plan.reserved
        ledger.reporting += len(plan.outcomes)
        return plan

    def _take_turn(self, plan: Plan) -> None:
        if self._turn == OUTCOMES:
            self._take_outcomes(plan, 0)
        size = 0 if plan.outcomes else self._take_words(plan)
        if self._turn == BOTH or (self._turn == WORDS and not plan.words):
            self._take_outcomes(plan, size)
        if self._turn != BOTH:
            self._turn = OUTCOMES if plan.words else WORDS

    def _take_words(self, plan: Plan) -> int:
        size, lines, now, ledger = 0, settings.REPORT_LINES, time.monotonic(), self._ledger
        for attempt in list(ledger.due):
            if size > settings.REPORT_BYTES or lines <= 0 or len(plan.words) >= self._most_talking:
                break
            if attempt.in_flight:
                continue  # What it said before comes before.
            plan.words.append(Words(attempt, now, lines))
            size += plan.words[-1].size
            lines -= len(plan.words[-1].logs) + len(plan.words[-1].checkpoints)
            if not (attempt.logs or attempt.checkpoints):
                del ledger.due[attempt]
                attempt.talking = False
        return size

    def _take_outcomes(self, plan: Plan, size: int) -> None:
        outbox, due = self._ledger.outbox, self._ledger.due
        here = {it.attempt for it in plan.words}
        while outbox and len(plan.outcomes) < self._most:
            attempt, (_, members) = outbox[0]
            size += len(members)
            # An outcome never goes before the words of its attempt, nor beside a report that carries them.
            if attempt in due or attempt.in_flight > (attempt in here) or (size > settings.REPORT_BYTES and plan.outcomes):
                break
            plan.outcomes.append(outbox.popleft())

    def _want(self, speaks: bool) -> Optional[Want]:
        """A wish for the free slots. One that only waits goes alone: outcomes are not to wait for work. While there is
        likely more work, every report asks for it; else one parked wish is enough."""
        limit = min(self._ledger.free(), settings.BATCH)
        if self._ledger.phase != WORKING:
            return None
        if limit <= 0:
            listens = not speaks and self.full and not self._listening and not self._wanting
            return Want(0, self._wait) if listens else None
        if speaks:
            return Want(limit, 0.0) if self._busy else None
        return None if self._wanting else Want(limit, self._wait)

    def answered(self, plan: Plan, taken: int) -> None:
        """The exchange came back: its slots are free again, but for what was taken in."""
        self._let_go(plan)
        if plan.outcomes:
            self._most, self._turn = settings.REPORT_OUTCOMES, BOTH
        if plan.words:
            self._most_talking = settings.REPORT_OUTCOMES
        if plan.want is not None and plan.want.limit:
            self._busy = taken >= plan.want.limit
        for words in plan.words:
            self._ledger.landed(words.attempt)

    def unanswered(self, plan: Plan) -> None:
        """The exchange failed: what it carried is to be said again."""
        self._let_go(plan)
        ledger = self._ledger
        ledger.outbox.extendleft(reversed(plan.outcomes))
        ended = {it for it, _ in ledger.outbox} if plan.words else set()
        for words in plan.words:
            attempt = words.attempt
            words.put_back()
            if attempt.lease in ledger.held or attempt.parked is not None or attempt in ended:
                attempt.talking = True
                ledger.due[attempt] = None
            ledger.landed(attempt)

    def refused(self, plan: Plan, reason: str) -> Optional[str]:
        """The server refused the exchange: the next one carries half as many outcomes, or words of half as many attempts.
        Words of one attempt that are refused are dropped. An outcome that is refused alone becomes a failure that says
        so; a failure that is refused is dropped. What was dropped is told."""
        dropped = None
        if plan.words and plan.outcomes:
            self._turn = WORDS
        elif len(plan.words) == 1:
            attempt = plan.words.pop().attempt
            dropped = f"what task {attempt.id} said"
            self._most_talking = settings.REPORT_OUTCOMES
            self._ledger.landed(attempt)
        elif plan.words:
            self._most_talking = len(plan.words) // 2
        elif len(plan.outcomes) == 1:
            attempt, (name, members) = plan.outcomes.pop()
            dropped = f"the outcome {name!r} of task {attempt.id}"
            self._ledger.reporting -= 1
            self._most, self._turn = settings.REPORT_OUTCOMES, BOTH
            if '"kind":"rejected"' not in members:
                said = f"the server refused the handler's outcome: {reason}"
                self._ledger.outbox.append((attempt, failure("rejected", said, ',"retryable":false')))
        else:
            self._most = max(1, len(plan.outcomes) // 2)
        self._busy = False
        self.unanswered(plan)
        return dropped

    def _let_go(self, plan: Plan) -> None:
        self._ledger.reserved -= plan.reserved
        self._ledger.reporting -= len(plan.outcomes)
        if plan.want is not None:
            self._wanting -= plan.want.limit > 0
            self._listening -= plan.want.limit == 0
