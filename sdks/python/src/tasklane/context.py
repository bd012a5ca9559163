"""What a handler knows about its attempt, and what it may say."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Optional, Protocol

LEVELS = ("debug", "info", "warn", "error")
"""The levels of a log line."""
CHECKPOINT_BYTES = 1 << 20
"""Most bytes of checkpoints a task keeps."""
NAME_BYTES = 200
"""Most bytes of the name of a checkpoint."""
_WORDS = {"warning": "warn", "critical": "error", "fatal": "error", "trace": "debug"}


class Sink(Protocol):
    """Where an attempt's words go: its worker, the pipe to the worker's process, or nowhere."""

    @property
    def stopped(self) -> bool:
        """Whether the attempt was told to stop."""
        ...

    def progress(self, members: dict[str, Any]) -> None:
        """Takes members of the API's progress; none of them is a sign of life alone."""
        ...

    def log(self, level: str, message: str, fields: Optional[Mapping[str, Any]]) -> None:
        """Takes a line."""
        ...

    def checkpoint(self, name: str, data: Any) -> None:
        """Takes a checkpoint."""
        ...


class _Nowhere:
    """The sink of a plain call without server."""

    stopped = False

    def progress(self, members: dict[str, Any]) -> None:
        pass

    def log(self, level: str, message: str, fields: Optional[Mapping[str, Any]]) -> None:
        pass

    def checkpoint(self, name: str, data: Any) -> None:
        pass


current: ContextVar[Optional[Sink]] = ContextVar("tasklane_attempt", default=None)
"""The attempt whose handler runs here: what it prints belongs to it."""


class Context:
    """What a handler knows about its attempt, and what it may say. A handler gets it by the keyword `ctx`.

    Write `ctx: Context = CTX`, so that callers (and type checkers) need not give it.
    """

    def __init__(self, sink: Sink, leased: Mapping[str, Any]):
        self._sink = sink
        #: The task's id; "" in a plain call.
        self.id: str = leased.get("id", "")
        #: Its type.
        self.type: str = leased.get("type", "")
        #: Its queue.
        self.queue: str = leased.get("queue", "")
        #: The number of this attempt, from 1; never the same twice.
        self.attempt: int = leased.get("attempt", 1)
        #: Who the work is for; "" where nobody was named.
        self.tenant: str = leased.get("tenant", "")
        #: The task's labels.
        self.labels: Mapping[str, str] = leased.get("labels") or {}
        #: When the task must have ended (RFC 3339), where it has a deadline.
        self.deadline: Optional[str] = leased.get("deadline")
        #: W3C trace context of the submitter.
        self.traceparent: Optional[str] = leased.get("traceparent")
        #: What earlier attempts (and this one) kept, by name.
        self.checkpoints: dict[str, Any] = _by_name(leased.get("checkpoints"))

    @property
    def cancelled(self) -> bool:
        """Whether to stop now: somebody cancelled the task, its lease is lost, it took too long, or the worker ends.

        A plain function looks here now and then and raises `Cancelled`, or returns; after two seconds `Stopped` is raised
        in its thread (its process is killed, in processes). A coroutine is cancelled at once.
        """
        return self._sink.stopped

    def progress(self, percent: Optional[float] = None, message: Optional[str] = None, *, data: Any = None) -> None:
        """Says how far it is: 0 to 100, a line for people, JSON for programs. The last word wins; it goes out at most
        twice a second. Also a sign of life for `heartbeat_timeout`."""
        members: dict[str, Any] = {}
        if percent is not None and math.isfinite(percent):
            members["percent"] = min(100.0, max(0.0, float(percent)))
        if message is not None:
            members["message"] = str(message)
        if data is not None:
            _json(data, "the data of progress")
            members["data"] = data
        self._sink.progress(members)

    def heartbeat(self) -> None:
        """A sign of life for `heartbeat_timeout`, without more to say."""
        self._sink.progress({})

    def log(self, message: str, *, level: str = "info", **fields: Any) -> None:
        """Adds a line to the task's log, with JSON `fields`. Levels: debug, info, warn, error.

        What a handler prints, and what it gives to `logging`, comes there by itself.
        """
        level = _WORDS.get(level.lower(), level.lower())
        if level not in LEVELS:
            raise ValueError(f"{level!r} is no level; the levels are {', '.join(LEVELS)}")
        if fields:
            json.dumps(fields, allow_nan=False)
        self._sink.log(level, str(message), fields or None)

    def checkpoint(self, name: str, data: Any) -> None:
        """Keeps JSON under a name for the next attempt, which finds it in `ctx.checkpoints`; the latest of a name counts.

        It goes out with the next report, within half a second and before the outcome. Raises `ValueError` for a name that
        is not 1 to 200 bytes without control characters, and for more than 1 MiB; a task's checkpoints together are
        refused beyond that, which the worker logs.
        """
        _check_name(name)
        if len(_json(data, f"checkpoint {name!r}")) > CHECKPOINT_BYTES:
            raise ValueError(f"checkpoint {name!r} has more than {CHECKPOINT_BYTES} bytes; keep it elsewhere")
        self.checkpoints[name] = data
        self._sink.checkpoint(name, data)


def _json(data: Any, what: str) -> bytes:
    """Raises `TypeError` or `ValueError` here, where it was said."""
    try:
        return json.dumps(data, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} has half of a character, which cannot be sent: {error}") from None


def _check_name(name: str) -> None:
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= NAME_BYTES or any(unicodedata.category(it) == "Cc" for it in name):
        raise ValueError(f"the name of a checkpoint must be 1 to {NAME_BYTES} bytes without control characters: {name!r}")


def _by_name(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return dict(found)
    return {it["name"]: it.get("data") for it in found or []}


CTX = Context(_Nowhere(), {})
"""What `ctx` is in a plain call: it says nothing to anybody and is never cancelled."""
