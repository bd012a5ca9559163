"""Options of a task: how they are said in Python, and what they are called on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, Optional, Union

from .duration import Duration, text
from .signed import key_of


@dataclass(frozen=True)
class Retry:
    """How long to wait between attempts: `initial`, times `factor` each time, up to `max`.

    With `jitter`, each wait is anything up to that. `delays` instead names each wait; the last one repeats. How many
    attempts there are is `max_attempts`, an option of its own.
    """

    initial: Duration = "1s"
    factor: float = 2
    max: Duration = "10m"
    jitter: bool = True
    delays: Optional[Sequence[Duration]] = None

    def members(self) -> dict[str, Any]:
        """The JSON of the API's `retry`."""
        if self.delays is not None:
            return {"delays": [text(it) for it in self.delays], "jitter": self.jitter}
        initial, most = text(self.initial), text(self.max)
        return {"initial": initial, "factor": self.factor, "max": most, "jitter": self.jitter}


@dataclass(frozen=True)
class Unique:
    """A key that at most one unfinished task holds, and what a submit does that finds it held.

    `return` answers with the holder, `reject` raises `Refused` (`unique_held`), `replace` rewrites one that never
    started. `hold` keeps the key at least so long after acceptance.
    """

    key: str
    policy: Literal["return", "reject", "replace"] = "return"
    hold: Optional[Duration] = None

    def members(self) -> dict[str, Any]:
        """The JSON of the API's `unique`."""
        members: dict[str, Any] = {"key": self.key, "policy": self.policy}
        return members if self.hold is None else {**members, "for": text(self.hold)}


@dataclass(frozen=True)
class Limit:
    """Of the tasks of a tenant that name this key, at most `max_running` run at a time, and at most so many start in any
    span of a time: `rate=(100, "1m")`.

    It holds for all of them, until a task says something else, or the configuration or an operator does. A key alone names
    it and says nothing: `limits=["smtp"]` is `limits=[Limit("smtp")]`.
    """

    key: str
    max_running: Optional[int] = None
    rate: Optional[tuple[int, Duration]] = None

    def members(self) -> dict[str, Any]:
        """The JSON of one of the API's `limits`."""
        members: dict[str, Any] = {"key": self.key}
        if self.max_running is not None:
            members["max_running"] = self.max_running
        if self.rate is not None:
            count, per = self.rate
            members["rate"] = {"count": count, "per": text(per)}
        return members


@dataclass(frozen=True)
class Callback:
    """A URL that one task's end is sent to, or what else `events` names, such as `["task.running"]`.

    `secret` (`whsec_` and the base64 of 24 to 64 bytes) signs what is sent, for `verify_webhook`; without one nothing
    does. A URL alone is enough: `callback="https://..."` is `callback=Callback("https://...")`.
    """

    url: str
    events: Optional[Sequence[str]] = None
    secret: Optional[str] = field(default=None, repr=False)

    def members(self) -> dict[str, Any]:
        """The JSON of the API's `callback`."""
        members: dict[str, Any] = {"url": self.url}
        if self.events is not None:
            members["events"] = listed("events", self.events)
        if self.secret is not None:
            key_of(self.secret)
            members["secret"] = self.secret
        return members


Priority = Union[int, Literal["low", "normal", "high", "urgent"]]
"""-1000 to 1000, higher runs first; the words are -10, 0, 10, 100."""


def moment(name: str, value: datetime) -> str:
    """A moment as the wire has it. Raises `ValueError` for one without a time zone."""
    if value.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, such as datetime.now(timezone.utc)")
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def listed(name: str, value: Sequence[Any]) -> list[Any]:
    """A list of texts or the like. Raises `ValueError` for a text, which Python takes for a list of its letters."""
    if isinstance(value, str):
        raise ValueError(f"{name} is a list, such as [{value!r}]")
    return list(value)


def _run_at(value: datetime) -> str:
    return moment("run_at", value)


def _retry(value: Union[Retry, Sequence[Duration]]) -> dict[str, Any]:
    return (value if isinstance(value, Retry) else Retry(delays=value, jitter=False)).members()


def _unique(value: Union[Unique, str]) -> dict[str, Any]:
    return (value if isinstance(value, Unique) else Unique(value)).members()


def _limits(value: Sequence[Union[Limit, str]]) -> list[dict[str, Any]]:
    return [(it if isinstance(it, Limit) else Limit(it)).members() for it in listed("limits", value)]


def _callback(value: Union[Callback, str]) -> dict[str, Any]:
    return (value if isinstance(value, Callback) else Callback(value)).members()


def _labels(value: Mapping[str, str]) -> dict[str, str]:
    return dict(value)


# Name in Python -> name on the wire, and how the value is written; a value without a writer goes as it is.
_MEMBERS: dict[str, tuple[str, Any]] = {
    "queue": ("queue", None),
    "priority": ("priority", None),
    "delay": ("delay", text),
    "run_at": ("run_at", _run_at),
    "start_deadline": ("start_deadline", text),
    "deadline": ("deadline", text),
    "timeout": ("attempt_timeout", text),
    "heartbeat_timeout": ("heartbeat_timeout", text),
    "max_attempts": ("max_attempts", None),
    "retry": ("retry", _retry),
    "tenant": ("tenant", None),
    "labels": ("labels", _labels),
    "unique": ("unique", _unique),
    "limits": ("limits", _limits),
    "callback": ("callback", _callback),
    "idempotency_key": ("idempotency_key", None),
    "id": ("id", None),
}


def members(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as members of the API's new task; those that are `None` are left to the server.

    Raises `TypeError` for an unknown option, `ValueError` for a value that cannot be.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _MEMBERS:
            raise TypeError(f"{name!r} is no option of a task; the options are {', '.join(_MEMBERS)}")
        if value is not None:
            wire, write = _MEMBERS[name]
            found[wire] = value if write is None else write(value)
    if "delay" in found and "run_at" in found:
        raise ValueError("delay and run_at exclude each other")
    return found
