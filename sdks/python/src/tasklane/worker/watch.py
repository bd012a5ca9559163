"""Beside the road: looks at what runs, lets words out when their time has come, ends what does not end by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Callable

from . import settings
from .attempt import CANCELLED, NO, TOO_LONG, Attempt
from .ledger import WORKING, Ledger, given_up
from .plan import Planner

log = logging.getLogger("tasklane.worker")


async def watch(ledger: Ledger, planner: Planner, give_up: Callable[[Attempt], None]) -> None:
    """Looks, for ever. `give_up` is told, under the lock, of attempts that whoever runs them cannot end."""
    while True:
        # Sleeping is cheaper than being told of every beginning: an idle worker wakes ten times a second for nothing much.
        await asyncio.sleep(settings.TICK)
        if ledger.held or ledger.talking or ledger.due:
            with ledger.lock:
                look(ledger, planner, give_up, time.monotonic())


def look(ledger: Ledger, planner: Planner, give_up: Callable[[Attempt], None], now: float) -> None:
    """One look; under the lock."""
    oldest = now
    for attempt in list(ledger.running):
        oldest = min(oldest, attempt.began)
        timeout = attempt.timeout
        if timeout is not None and now - attempt.arrived > timeout:
            ledger.tell(attempt, TOO_LONG)
        if attempt.stop != NO:
            _press(ledger, attempt, give_up, now)
    _let_out(ledger, now)
    if now - oldest > settings.READY_MOST:
        stuck = now - settings.READY_MOST
        if ledger.phase == WORKING and any(queue and queue[0].arrived < stuck for queue in ledger.ready):
            ledger.took(now - oldest)
            ledger.give_back_ready(stuck)
    full = now - oldest > settings.LISTEN_AFTER
    if full and not planner.full:
        ledger.nudge()
    planner.full = full


def _press(ledger: Ledger, attempt: Attempt, give_up: Callable[[Attempt], None], now: float) -> None:
    told = now - attempt.told_at
    if told > settings.FORCE_AFTER and not attempt.forced:
        attempt.forced = True
        if attempt.on_force is not None:
            attempt.on_force()
    if told > (settings.CANCEL_GRACE if attempt.stop == CANCELLED else settings.STOP_GRACE):
        log.error("task %s does not stop; it is given up, and what runs it is left behind", attempt.id)
        attempt.abandoned = True
        give_up(attempt)
        ledger.end(attempt, given_up(attempt.stop))


def _let_out(ledger: Ledger, now: float) -> None:
    due = [it for it in ledger.talking if it.due(now)]
    for attempt in due:
        del ledger.talking[attempt]
        ledger.due[attempt] = None
    if due:
        ledger.nudge()
