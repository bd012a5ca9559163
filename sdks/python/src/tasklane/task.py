"""A function as a task: called plainly, or enqueued for a worker."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, Union, cast

from .handle import Handle
from .options import Callback, Limit, Priority, Retry, Unique, members
from .schedules import Planned
from .signature import Signature
from .submit import encode

if sys.version_info >= (3, 10):
    from typing import ParamSpec
else:
    from typing_extensions import ParamSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .app import App
    from .duration import Duration

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function as a task. `R` is what its result is; `App.task` makes one.

    Arguments travel as a JSON object by parameter name, so any program can submit the task, too.
    """

    def __init__(self, app: App, function: Callable[..., Any], name: str, options: dict[str, Any]):
        self._app = app
        #: The function itself.
        self.function = function
        #: The task's type: what workers know it by.
        self.name = name
        self._options = options
        self._members = members(options)
        self.signature = Signature(function)
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", name)
        self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"

    def with_(
        self,
        *,
        queue: Optional[str] = None,
        delay: Optional[Duration] = None,
        run_at: Optional[datetime] = None,
        priority: Optional[Priority] = None,
        timeout: Optional[Duration] = None,
        heartbeat_timeout: Optional[Duration] = None,
        max_attempts: Optional[int] = None,
        retry: Optional[Union[Retry, Sequence[Duration]]] = None,
        start_deadline: Optional[Duration] = None,
        deadline: Optional[Duration] = None,
        tenant: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        unique: Optional[Union[Unique, str]] = None,
        limits: Optional[Sequence[Union[Limit, str]]] = None,
        callback: Optional[Union[Callback, str]] = None,
        idempotency_key: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Task[P, R]:
        """The same task with other options; what is not said stays. Options never mix with the function's arguments.

        `delay`, `run_at`: not before. `priority`: -1000 to 1000, higher first. `timeout`: most time of one attempt.
        `heartbeat_timeout`: longest silence of the handler. `max_attempts`: the first included. `start_deadline`,
        `deadline`: not started, not ended by then, counted from acceptance. `limits`: keys of which no more run at a time,
        or start in a time, than a `Limit` says; these replace those of the decorator. `callback`: a URL that its end is
        sent to. `unique`, `idempotency_key`, `id`: see API. Raises `ValueError` for a value that cannot be.
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "__class__") and value is not None}
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._options = {**self._options, **given}
        copy._members = members(copy._options)
        return copy

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Submits the task; it is on the server's disk when this returns. Calls made at the same time travel together.

        Raises `TypeError` for arguments that do not fit or are no JSON, `Unreachable`, `Refused`, `OutcomeUnknown`.
        """
        return Handle(await self._app.client().submitter.asubmit(self._json(args, kwargs)), self._app.client)

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """As `enqueue`, for code without an event loop."""
        return Handle(self._app.client().submitter.submit(self._json(args, kwargs)), self._app.client)

    def planned(self, *args: P.args, **kwargs: P.kwargs) -> Planned:
        """The task with these arguments, not submitted: what each slot of a schedule makes (`App.schedules`). In its texts
        `{slot}`, `{slot.local}`, `{slot.date}`, `{slot.time}` and `{slot.unix}` stand for the time of the slot.

        Raises `TypeError` for arguments that do not fit.
        """
        return Planned({"type": self.name, "payload": self.signature.payload(args, kwargs), **self._members})

    def _json(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        return encode({"type": self.name, "payload": self.signature.payload(args, kwargs), **self._members})


class SyncTask(Task[P, R]):
    """A task that is a plain function."""

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function here and now, without any server."""
        return cast(R, self.function(*args, **kwargs))

    __call__ = local


class AsyncTask(Task[P, R]):
    """A task that is a coroutine function."""

    def local(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Calls the function here and now, without any server; await it."""
        return cast("Coroutine[Any, Any, R]", self.function(*args, **kwargs))

    __call__ = local
