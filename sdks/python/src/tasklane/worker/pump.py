"""Pumps: each carries one exchange at a time. What has ended meanwhile gathers for the next one, so a busy worker makes
one round trip a batch, without any timer. Everything here runs on the client's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Callable, Optional

from ..duration import text
from ..errors import Refused, TasklaneError
from ..http import Http
from . import settings
from .attempt import CANCELLED, HERE, LOST, Attempt
from .keep import Keep
from .ledger import DRAINING, OVER, Ledger
from .plan import Plan, Planner
from .watch import watch

log = logging.getLogger("tasklane.worker")


class Pump:
    """Exchanges reports for leases, and drains."""

    def __init__(
        self,
        http: Http,
        ledger: Ledger,
        worker: str,
        lanes: list[dict[str, Any]],
        lease: float,
        wait: float,
        kind: Callable[[str], int],
        give_up: Callable[[Attempt], None],
    ):
        self._http, self._ledger, self._worker = http, ledger, worker
        self._wish = {"worker": worker, "lanes": lanes, "lease": text(lease)}
        self._kind, self._give_up, self._lease = kind, give_up, lease
        self._planner = Planner(ledger, wait)
        self._loop = asyncio.get_running_loop()
        self._work, self._drain, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._kept = asyncio.Event()
        self._nudged = False
        self._order = 0
        self._known = False
        # Names of wishes whose answer was never heard: the next wish of the name gets what was handed out then.
        self._unheard: list[str] = []
        self._wishes, self._random = 0, secrets.token_hex(6)
        settings_of_keeper = {"url": http.url, "api_key": http.api_key, "worker": worker, "lease": lease}
        self._keep = Keep(settings_of_keeper, self._heard)
        ledger.nudge = self._nudge

    def drain(self) -> None:
        """Ends the work; on the loop."""
        self._drain.set()

    def _nudge(self) -> None:
        if not self._nudged:
            self._nudged = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._nudged = False
        self._work.set()
        self._changed.set()

    async def run(self, grace: float) -> None:
        """Works until `drain`, then lets what runs finish within `grace` seconds, gives the rest back, reports."""
        self._keep.start()
        with contextlib.suppress(asyncio.TimeoutError):
            # A handler may hold the interpreter from its first moment on.
            await asyncio.wait_for(self._kept.wait(), settings.KEEPER_START)
        loops = [asyncio.ensure_future(self._pump()) for _ in range(settings.EXCHANGES)]
        loops.append(asyncio.ensure_future(watch(self._ledger, self._planner, self._give_up)))
        asked = asyncio.ensure_future(self._drain.wait())
        try:
            done, _ = await asyncio.wait([asked, *loops], return_when=asyncio.FIRST_COMPLETED)
            for it in done - {asked}:
                it.result()  # The server does not let this worker work.
            await self._finish(grace)
        finally:
            with self._ledger.lock:
                self._ledger.phase = OVER
            pending = {it for it in (asked, *loops) if not it.done()}
            while pending:
                # Again and again: `wait_for` may swallow a cancellation that comes together with what it waits for.
                for it in pending:
                    it.cancel()
                _, pending = await asyncio.wait(pending, timeout=settings.TICK)
            self._keep.close()

    async def _finish(self, grace: float) -> None:
        ledger = self._ledger
        with ledger.lock:
            ledger.phase = DRAINING
            ledger.give_back_ready()
            log.info("draining: %d tasks run", len(ledger.running))
        self._nudge()
        if not await self._until(lambda: not ledger.held, grace):
            with ledger.lock:
                ledger.tell_all(HERE)
            await self._until(lambda: not ledger.held, settings.CANCEL_GRACE + 1)
        await self._until(ledger.all_said, settings.LAST_REPORT)

    async def give_back_all(self) -> None:
        """Gives back everything at once, also what runs."""
        with self._ledger.lock:
            self._ledger.phase = DRAINING
            for attempt in list(self._ledger.held.values()):
                self._ledger.end(attempt, ("release", ""))
        self._drain.set()
        self._nudge()
        await self._until(self._ledger.all_said, settings.AT_ONCE)

    async def _until(self, holds: Callable[[], bool], most: float) -> bool:
        end = time.monotonic() + most
        while True:
            with self._ledger.lock:
                if holds():
                    return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, settings.TICK))
            except asyncio.TimeoutError:
                pass

    async def _pump(self) -> None:
        failures = early = 0
        while True:
            with self._ledger.lock:
                plan = self._planner.plan()
            if plan is None:
                self._work.clear()
                await self._work.wait()
                continue
            self._work.set()  # There may be more than one pump can carry.
            sent = time.monotonic()
            try:
                reply = await self._exchange(plan)
            except TasklaneError as error:
                failures += 1
                self._failed(plan, error, failures)
                await asyncio.sleep(_back_off(failures, settings.BACK_OFF_MAX))
                continue
            if failures:
                log.info("the server answers again")
            self._known, failures = True, 0
            if plan.waits and not any(reply.values()) and time.monotonic() - sent < settings.REST_MAX:
                early += 1
                await self._rest(_back_off(early, settings.REST_MAX))
            else:
                early = 0
            self._absorb(plan, reply, sent)

    async def _exchange(self, plan: Plan) -> dict[str, Any]:
        if not plan.waits:
            return await self._send(plan)
        exchange = asyncio.ensure_future(self._send(plan))
        asked = asyncio.ensure_future(self._drain.wait())
        try:
            await asyncio.wait([exchange, asked], return_when=asyncio.FIRST_COMPLETED)
            return exchange.result() if exchange.done() else {}
        finally:
            exchange.cancel()
            asked.cancel()

    async def _send(self, plan: Plan) -> dict[str, Any]:
        want, name = None, None
        if plan.want is not None:
            name = self._unheard.pop() if self._unheard else self._name()
            want = {**self._wish, "limit": plan.want.limit, "wait": text(plan.want.wait), "request": name}
        wait = plan.want.wait if plan.want else 0.0
        try:
            reply = await self._http.call("POST", "/v1/reports", plan.report(self._worker, want), wait)
        except TasklaneError as error:
            if name is not None and not isinstance(error, Refused):
                self._unheard.append(name)
            raise
        return reply or {}

    def _name(self) -> str:
        self._wishes += 1
        return f"{self._random}-{self._wishes}"

    async def _rest(self, seconds: float) -> None:
        """Lets time pass; the wish stays open meanwhile, so that no other pump makes the same one."""
        try:
            await asyncio.wait_for(self._drain.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    def _absorb(self, plan: Plan, reply: dict[str, Any], sent: float) -> None:
        now = time.monotonic()
        leased = [self._attempt(it, now) for it in reply.get("tasks") or ()]
        if leased or plan.outcomes:
            # Before any handler begins: it may hold the interpreter for longer than the lease.
            # The lease was granted when it was asked for, or later, however long its answer took.
            self._keep.say([it for it, _ in leased], [it for it, _ in plan.outcomes], sent)
        for it in reply.get("refused") or ():
            log.error("task %s: %s %r is not kept: %s", it.get("id"), it.get("list"), it.get("name"), it.get("detail"))
        ledger = self._ledger
        with ledger.lock:
            self._planner.answered(plan, len(leased))
            if reply.get("lost"):
                self._lose(reply["lost"], [it.attempt for it in plan.words])
            for attempt in ledger.of_tasks(reply.get("cancel") or []):
                ledger.tell(attempt, CANCELLED)
            ledger.take_in(leased)
        self._wake()

    def _attempt(self, leased: dict[str, Any], now: float) -> tuple[Attempt, int]:
        self._order += 1
        return Attempt(leased, now, self._order, self._ledger), self._kind(leased["type"])

    def _lose(self, ids: Sequence[str], spoken: Iterable[Attempt]) -> None:
        log.warning("the leases of %d tasks were lost; what was done for them does not count", len(ids))
        for attempt in spoken:
            if attempt.id in ids:
                self._ledger.tell(attempt, LOST)

    def _failed(self, plan: Plan, error: TasklaneError, failures: int) -> None:
        refused = isinstance(error, Refused) and 400 <= error.status < 500 and error.status not in (408, 429)
        if refused and not self._known and not plan.speaks:
            raise error
        if failures == 1:
            log.warning("an exchange with the server failed; it is tried again: %s", error)
        with self._ledger.lock:
            if refused and plan.speaks:
                dropped = self._planner.refused(plan, str(error))
                if dropped:
                    log.error("the server refuses %s: %s", dropped, error)
            else:
                self._planner.unanswered(plan)
        self._wake()

    def _heard(self, message: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._hear, message)

    def _hear(self, message: dict[str, Any]) -> None:
        """What the keeper says; nothing: it has died."""
        ledger = self._ledger
        if not message:
            if ledger.phase != OVER:
                self._keep.start()
                # Nobody knows when the one before renewed last; a third of a lease is what it let pass at most.
                self._keep.say(list(ledger.held.values()), since=time.monotonic() - self._lease / 3)
            return
        if "ready" in message:
            self._kept.set()
        with ledger.lock:
            for word, stop in (("lost", LOST), ("late", HERE)):
                for lease in message.get(word, ()):
                    attempt: Optional[Attempt] = ledger.held.get(lease)
                    if attempt is not None:
                        log.warning("task %s: %s", attempt.id, _SAID[word])
                        ledger.tell(attempt, stop)
            for attempt in ledger.of_tasks(message.get("cancel", [])):
                ledger.tell(attempt, CANCELLED)


_SAID = {
    "lost": "its lease is lost; the attempt is stopped",
    "late": "its lease could not be renewed in time; the attempt is stopped",
}


def _back_off(failures: int, most: float) -> float:
    """Anything up to a span that doubles (full jitter), so that workers do not come back in step."""
    return random.uniform(0.0, min(most, settings.BACK_OFF * 2.0 ** min(failures - 1, 16)))
