"""Submits that travel together: while a request is in flight the next one gathers, so many callers share a round trip
and the server's sync, without any timer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Union

from .errors import InvalidAnswer, OutcomeUnknown, Refused, TasklaneError
from .http import Http

FLIGHTS = 3
"""Requests in flight at once."""
FEW_IN_THE_AIR = 8
"""A further request does not fly for fewer tasks than are in the air already, unless there are only so few."""
FLIGHT_TASKS = 1000
"""Most tasks of one request."""
FLIGHT_BYTES = 8 << 20
"""Most bytes of one request; a single larger task still goes, alone."""
WAITING_BYTES = 256 << 20
"""Most bytes that may wait to be sent; callers beyond it are told so."""

Accepted = Union[str, TasklaneError]
"""The id of the accepted task, or why it was not."""


class Waiting:
    """A task on its way, and who waits for the answer: a thread, or a coroutine of some loop."""

    __slots__ = ("json", "loop", "waiter")

    def __init__(self, json: bytes, waiter: Union[Future[str], asyncio.Future[str]]):
        self.json = json
        self.waiter = waiter
        self.loop = waiter.get_loop() if isinstance(waiter, asyncio.Future) else None


class Submitter:
    """Gathers submits of all threads; its flights run on the client's loop."""

    def __init__(self, http: Http, loop: asyncio.AbstractEventLoop):
        self._http, self._loop = http, loop
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._nudged = False
        # Touched on the loop alone.
        self._in_the_air = 0
        self._flights: set[asyncio.Task[None]] = set()

    def submit(self, json: bytes) -> str:
        """Waits until the task is on the server's disk; its id."""
        waiter: Future[str] = Future()
        self._add(Waiting(json, waiter))
        return waiter.result()

    async def asubmit(self, json: bytes) -> str:
        """As `submit`. A caller that is cancelled meanwhile does not stop its task."""
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._add(Waiting(json, waiter))
        return await waiter

    def _add(self, item: Waiting) -> None:
        with self._lock:
            if self._bytes and self._bytes + len(item.json) > WAITING_BYTES:
                raise TasklaneError(f"more than {WAITING_BYTES} bytes of submits wait to be sent")
            self._bytes += len(item.json)
            self._waiting.append(item)
            nudge, self._nudged = not self._nudged, True
        if nudge:
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self._nudged = False
        if self._waiting and len(self._flights) < FLIGHTS and self._worth_a_flight():
            flight = self._loop.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    def _worth_a_flight(self) -> bool:
        return self._in_the_air < FEW_IN_THE_AIR or len(self._waiting) > self._in_the_air

    async def _fly(self) -> None:
        while True:
            # Callers that are ready to submit, too, get aboard.
            await asyncio.sleep(0)
            boarded = self._board()
            if not boarded:
                return
            self._in_the_air += len(boarded)
            try:
                await self._deliver(boarded)
            finally:
                self._in_the_air -= len(boarded)

    def _board(self) -> list[Waiting]:
        boarded: list[Waiting] = []
        size = 0
        with self._lock:
            most = FLIGHT_TASKS if self._worth_a_flight() else 0
            while self._waiting and len(boarded) < most:
                if boarded and size + len(self._waiting[0].json) > FLIGHT_BYTES:
                    break
                boarded.append(self._waiting.popleft())
                size += len(boarded[-1].json)
            self._bytes -= size
        return boarded

    async def _deliver(self, boarded: Sequence[Waiting]) -> None:
        """Sends and answers. A request refused as a whole for what one of its tasks may be is halved until the others
        have passed."""
        rest: list[Sequence[Waiting]] = [boarded]
        while rest:
            part = rest.pop()
            try:
                answers = await self._send(part)
            except TasklaneError as error:
                if len(part) > 1 and isinstance(error, Refused) and error.status in (400, 413, 422):
                    half = len(part) // 2
                    rest += [part[half:], part[:half]]
                    continue
                answers = [error] * len(part)
            except BaseException:
                _answer(part, [OutcomeUnknown("the process ended meanwhile")] * len(part))
                raise
            _answer(part, answers)

    async def _send(self, part: Sequence[Waiting]) -> list[Accepted]:
        body = b"[" + b",".join(it.json for it in part) + b"]"
        reply = await self._http.call("POST", "/v1/tasks:batch?atomic=false", body)
        shapes = reply.get("tasks") if isinstance(reply, dict) else None
        if not isinstance(shapes, list) or len(shapes) != len(part):
            raise OutcomeUnknown(f"the answer does not speak of the {len(part)} tasks that were sent")
        return [_accepted(shape) for shape in shapes]


def _accepted(shape: dict[str, Any]) -> Accepted:
    if "id" in shape:
        return str(shape["id"])
    return Refused.of(shape["error"]) if "error" in shape else InvalidAnswer(f"an answer to a task: {shape!r}")


def _answer(part: Sequence[Waiting], answers: Sequence[Accepted]) -> None:
    """Wakes each caller; those of one loop together."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Any, Accepted]]] = {}
    for item, answer in zip(part, answers):
        if item.loop is None:
            _settle([(item.waiter, answer)])
        else:
            loops.setdefault(item.loop, []).append((item.waiter, answer))
    for loop, pairs in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, pairs)


def _settle(pairs: Sequence[tuple[Any, Accepted]]) -> None:
    for waiter, answer in pairs:
        if waiter.done():
            continue
        if isinstance(answer, str):
            waiter.set_result(answer)
        else:
            waiter.set_exception(answer)


def encode(new_task: dict[str, Any]) -> bytes:
    """The JSON of a new task. Raises `TypeError` or `ValueError` where an argument is no JSON."""
    try:
        return json.dumps(new_task, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        raise type(error)(f"the arguments of {new_task.get('type')} cannot be written as JSON: {error}") from None
