"""Schedules: rules that make tasks at times. Each method has a twin without `await`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Literal, Optional
from urllib.parse import quote, urlencode

from .client import Client
from .duration import Duration, text
from .errors import Refused
from .handle import Handle
from .options import moment
from .submit import encode

Overlap = Literal["allow", "skip", "replace", "queue_one"]
"""What a slot does while a task of an earlier one is not finished."""
Missed = Literal["none", "one", "all"]
"""Which slots are caught up with that came while no server was there."""


@dataclass(frozen=True)
class Planned:
    """A task that is not submitted: what each slot of a schedule makes. `Task.planned` and `App.planned` make one."""

    new_task: dict[str, Any]

    def __repr__(self) -> str:
        # A callback's secret may be in it.
        return f"Planned({self.new_task.get('type')!r})"


@dataclass(frozen=True)
class Schedule:
    """A schedule as it was when it was read."""

    #: The shape of the API.
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """Which."""
        return str(self.data["id"])

    @property
    def name(self) -> str:
        """Its name: no other one of its tenant has it."""
        return str(self.data["name"])

    @property
    def paused(self) -> bool:
        """Whether nothing comes of its slots."""
        return bool(self.data["paused"])

    @property
    def next_at(self) -> Optional[datetime]:
        """The next slot, in UTC; `None` where no more come, and while it is paused."""
        at = self.data.get("next_at")
        return None if at is None else _time(at)


@dataclass(frozen=True)
class Run:
    """A slot that came, and what it came to."""

    #: When, in UTC.
    at: datetime
    #: `made`, `missed`, `overlapped` (an earlier task was not finished) or `refused` (the task was not accepted).
    outcome: str
    #: The id of its task.
    task: Optional[str]
    #: Where its task stands; `None` where it is no longer kept.
    state: Optional[str]


class Schedules:
    """The schedules of the server; `App.schedules`. They are named by their names; one whose task has a tenant, by that
    tenant too. What is not there raises `KeyError`."""

    def __init__(self, client: Callable[[], Client]):
        self._client = client

    async def put(
        self,
        name: str,
        task: Planned,
        *,
        cron: Optional[str] = None,
        every: Optional[Duration] = None,
        at: Optional[datetime] = None,
        timezone: Optional[str] = None,
        overlap: Overlap = "allow",
        missed: Missed = "one",
        missed_cap: int = 100,
        missed_window: Duration = "1d",
        jitter: Duration = 0,
        starts_at: Optional[datetime] = None,
        ends_at: Optional[datetime] = None,
    ) -> Schedule:
        """Sets a schedule up, or makes the one of this name what is said here; so a program may say it at each start.

        One of `cron` (five fields, six with seconds first, or `@daily` and the like), `every` and `at` says when its slots
        come; `timezone` is the IANA name of the zone whose clock a pattern means, UTC unless said. In texts among the
        task's arguments `{slot}`, `{slot.local}`, `{slot.date}`, `{slot.time}` and `{slot.unix}` stand for the time of the
        slot. `missed`: which slots are caught up with that came while no server was there, at most `missed_cap` and none
        older than `missed_window`. `jitter`: tasks start up to so much after their slot. Whether it is paused stays as it
        is. Raises `Refused`, also (`set_by_config`) for one that the configuration sets up.
        """
        rule = _rule(locals())
        client = self._client()
        return await client.apart(_put(client, name, task, rule))

    def put_sync(
        self,
        name: str,
        task: Planned,
        *,
        cron: Optional[str] = None,
        every: Optional[Duration] = None,
        at: Optional[datetime] = None,
        timezone: Optional[str] = None,
        overlap: Overlap = "allow",
        missed: Missed = "one",
        missed_cap: int = 100,
        missed_window: Duration = "1d",
        jitter: Duration = 0,
        starts_at: Optional[datetime] = None,
        ends_at: Optional[datetime] = None,
    ) -> Schedule:
        """As `put`."""
        rule = _rule(locals())
        client = self._client()
        return client.sync(_put(client, name, task, rule))

    async def all(self) -> list[Schedule]:
        """Every schedule, in the order in which they were made."""
        client = self._client()
        return await client.apart(_all(client))

    def all_sync(self) -> list[Schedule]:
        """As `all`."""
        client = self._client()
        return client.sync(_all(client))

    async def get(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """One."""
        client = self._client()
        return await client.apart(_get(client, name, tenant))

    def get_sync(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """As `get`."""
        client = self._client()
        return client.sync(_get(client, name, tenant))

    async def pause(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """Has nothing come of its slots."""
        client = self._client()
        return Schedule(await client.apart(_do(client, name, tenant, ":pause")))

    def pause_sync(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """As `pause`."""
        client = self._client()
        return Schedule(client.sync(_do(client, name, tenant, ":pause")))

    async def resume(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """Goes on; what came meanwhile was not missed."""
        client = self._client()
        return Schedule(await client.apart(_do(client, name, tenant, ":resume")))

    def resume_sync(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """As `resume`."""
        client = self._client()
        return Schedule(client.sync(_do(client, name, tenant, ":resume")))

    async def run(self, name: str, *, tenant: Optional[str] = None) -> Handle[Any]:
        """Makes its task now, beside its slots."""
        client = self._client()
        return Handle((await client.apart(_do(client, name, tenant, ":run")))["id"], self._client)

    def run_sync(self, name: str, *, tenant: Optional[str] = None) -> Handle[Any]:
        """As `run`."""
        client = self._client()
        return Handle(client.sync(_do(client, name, tenant, ":run"))["id"], self._client)

    async def remove(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """Removes it; its tasks stay. What it was."""
        client = self._client()
        return Schedule(await client.apart(_do(client, name, tenant, "", "DELETE")))

    def remove_sync(self, name: str, *, tenant: Optional[str] = None) -> Schedule:
        """As `remove`."""
        client = self._client()
        return Schedule(client.sync(_do(client, name, tenant, "", "DELETE")))

    async def runs(self, name: str, *, tenant: Optional[str] = None, most: int = 100) -> list[Run]:
        """What its last slots came to, newest first; at most 200."""
        client = self._client()
        return _runs(await client.apart(_do(client, name, tenant, f"/runs?limit={most}", "GET")))

    def runs_sync(self, name: str, *, tenant: Optional[str] = None, most: int = 100) -> list[Run]:
        """As `runs`."""
        client = self._client()
        return _runs(client.sync(_do(client, name, tenant, f"/runs?limit={most}", "GET")))

    async def upcoming(self, name: str, *, tenant: Optional[str] = None, count: int = 10) -> list[datetime]:
        """Its next slots, with the offset of its zone; whether it is paused or not."""
        client = self._client()
        return _slots(await client.apart(_do(client, name, tenant, f"/preview?count={count}", "GET")))

    def upcoming_sync(self, name: str, *, tenant: Optional[str] = None, count: int = 10) -> list[datetime]:
        """As `upcoming`."""
        client = self._client()
        return _slots(client.sync(_do(client, name, tenant, f"/preview?count={count}", "GET")))


def _rule(said: dict[str, Any]) -> dict[str, Any]:
    """The JSON of all that a schedule says but its name and its task."""
    times = {
        "cron": said["cron"],
        "every": None if said["every"] is None else text(said["every"]),
        "at": None if said["at"] is None else moment("at", said["at"]),
        "timezone": said["timezone"] or ("UTC" if said["cron"] is not None else None),
    }
    bounds = {key: None if said[key] is None else moment(key, said[key]) for key in ("starts_at", "ends_at")}
    missed = {"policy": said["missed"], "cap": said["missed_cap"], "window": text(said["missed_window"])}
    rule = {"overlap": said["overlap"], "missed": missed, "jitter": text(said["jitter"]), **bounds}
    return {**{key: value for key, value in times.items() if value is not None}, **rule}


async def _put(client: Client, name: str, task: Planned, rule: dict[str, Any]) -> Schedule:
    body = encode({"name": name, "task": task.new_task, **rule})
    try:
        return Schedule(await client.http.call("POST", "/v1/schedules", body))
    except Refused as error:
        if error.code != "name_taken":
            raise
    there = await _get(client, name, task.new_task.get("tenant"))
    return Schedule(await client.http.call("PATCH", f"/v1/schedules/{there.id}", body))


async def _all(client: Client) -> list[Schedule]:
    found: list[Schedule] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.http.call("GET", f"/v1/schedules?{urlencode({'limit': 200, **cursor})}")
        found += [Schedule(it) for it in page["items"]]
        if "next_cursor" not in page:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def _get(client: Client, name: str, tenant: Optional[str]) -> Schedule:
    query = {"name": name} if tenant is None else {"name": name, "tenant": tenant}
    found = (await client.http.call("GET", f"/v1/schedules?{urlencode(query, quote_via=quote)}"))["items"]
    if tenant is None and len(found) > 1:
        found = [it for it in found if "tenant" not in it["task"]]
    if not found:
        raise KeyError(f"there is no schedule named {name!r}")
    return Schedule(found[0])


async def _do(client: Client, name: str, tenant: Optional[str], rest: str, method: str = "POST") -> Any:
    there = await _get(client, name, tenant)
    return await client.http.call(method, f"/v1/schedules/{there.id}{rest}")


def _runs(page: dict[str, Any]) -> list[Run]:
    return [Run(_time(it["at"]), it["outcome"], it.get("task"), it.get("state")) for it in page["items"]]


def _slots(preview: dict[str, Sequence[dict[str, str]]]) -> list[datetime]:
    return [_time(it["local"]) for it in preview["items"]]


def _time(value: str) -> datetime:
    # Python before 3.11 reads neither `Z` nor parts of a second of any length.
    head, _, rest = value.replace("Z", "+00:00").partition(".")
    if not rest:
        return datetime.fromisoformat(head)
    digits, offset = rest[:-6], rest[-6:]
    return datetime.fromisoformat(f"{head}.{digits[:6].ljust(6, '0')}{offset}")
