"""A task that was submitted: wait for its result, watch it, cancel it. Each method has a twin without `await`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Callable, Generic, Optional, TypeVar, cast

from .client import Client
from .duration import Duration, seconds
from .errors import OutcomeUnknown, Refused, ResultTimeout, TaskCancelled, TaskExpired, TaskFailed, Unreachable
from .sse import read_events

R = TypeVar("R")

FINAL = frozenset(("succeeded", "failed", "cancelled", "expired"))
LONGEST_WAIT = 20.0
"""Seconds one request waits for a task's end; then the next one does."""
AWAY_PAUSE = 0.5
"""Seconds between looks for a server that is away."""
AWAY_MOST = 60.0
"""Seconds after which a server that stays away is an error, where no timeout was given."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a task: `task.running` and the like with `from`, `to` and `reason`, `progress` with its
    members, `log` with a line, `reset` where some are left out because they are too old."""

    name: str
    data: dict[str, Any]


class Handle(Generic[R]):
    """A submitted task. Cheap; `App.handle` makes one from an id."""

    def __init__(self, id: str, client: Callable[[], Client]):
        #: The task's id.
        self.id = id
        self._client = client

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    async def result(self, timeout: Optional[Duration] = None) -> R:
        """The result, once there is one; without `timeout`, however long that takes.

        Raises `TaskFailed` (also as `TaskCancelled` and `TaskExpired`) if the task ends without one, `ResultTimeout` if it
        does not end in time, `Refused`, `Unreachable`. A server that is away meanwhile is asked again.
        """
        client = self._client()
        return cast(R, await client.apart(_result(client, self.id, timeout)))

    def result_sync(self, timeout: Optional[Duration] = None) -> R:
        """As `result`."""
        client = self._client()
        return cast(R, client.sync(_result(client, self.id, timeout)))

    async def task(self) -> dict[str, Any]:
        """The task as it stands, in the shape of the API. Raises `Refused` (`task_not_found`)."""
        client = self._client()
        return await client.apart(_get(client, self.id))

    def task_sync(self) -> dict[str, Any]:
        """As `task`."""
        client = self._client()
        return client.sync(_get(client, self.id))

    async def cancel(self) -> dict[str, Any]:
        """Cancels the task; one that runs is told to stop. The task afterwards.

        Raises `Refused` (`invalid_transition`) if it has ended.
        """
        client = self._client()
        return await client.apart(_cancel(client, self.id))

    def cancel_sync(self) -> dict[str, Any]:
        """As `cancel`."""
        client = self._client()
        return client.sync(_cancel(client, self.id))

    async def events(self) -> AsyncIterator[Event]:
        """What happens to the task, from now until its end: transitions, progress, log lines. Resumes over lost
        connections."""
        client = self._client()
        events = _events(client, self.id)
        try:
            while (event := await client.apart(_next(events))) is not None:
                yield event
        finally:
            await client.apart(_end(events))

    def events_sync(self) -> Iterator[Event]:
        """As `events`."""
        client = self._client()
        events = _events(client, self.id)
        try:
            while (event := client.sync(_next(events))) is not None:
                yield event
        finally:
            client.sync(_end(events))


async def _result(client: Client, id: str, timeout: Optional[Duration]) -> Any:
    end = None if timeout is None else time.monotonic() + seconds(timeout)
    away_since: Optional[float] = None
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        wait = LONGEST_WAIT if left is None else min(left, LONGEST_WAIT)
        try:
            task = await client.http.call("GET", f"/v1/tasks/{id}?wait={int(wait * 1000)}ms", wait=wait)
        except (Unreachable, OutcomeUnknown, Refused) as error:
            if isinstance(error, Refused) and error.status != 503:
                raise
            away_since = away_since or time.monotonic()
            if left == 0 or (left is None and time.monotonic() - away_since > AWAY_MOST):
                raise
            await asyncio.sleep(AWAY_PAUSE if left is None else min(AWAY_PAUSE, left))
            continue
        away_since = None
        if task["state"] in FINAL:
            return _outcome(id, task)
        if left == 0:
            raise ResultTimeout(f"task {id} is still {task['state']}")


def _outcome(id: str, task: dict[str, Any]) -> Any:
    state, failure = task["state"], task.get("failure")
    if state == "succeeded":
        return task.get("result")
    if state == "cancelled":
        raise TaskCancelled(id, "cancelled", "the task was cancelled", failure)
    if state == "expired":
        raise TaskExpired(id, "expired", "the task did not start before its start deadline", failure)
    failure = failure or {}
    raise TaskFailed(id, failure.get("kind", "error"), failure.get("message", "the task failed"), failure)


async def _get(client: Client, id: str) -> dict[str, Any]:
    return cast("dict[str, Any]", await client.http.call("GET", f"/v1/tasks/{id}"))


async def _cancel(client: Client, id: str) -> dict[str, Any]:
    return cast("dict[str, Any]", await client.http.call("POST", f"/v1/tasks/{id}:cancel", b""))


async def _events(client: Client, id: str) -> AsyncIterator[Event]:
    async for name, data in read_events(client.http, f"/v1/tasks/{id}/events"):
        yield Event(name, json.loads(data) if data else {})


async def _next(events: AsyncIterator[Event]) -> Optional[Event]:
    try:
        return await events.__anext__()
    except StopAsyncIteration:
        return None


async def _end(events: Any) -> None:
    await events.aclose()
