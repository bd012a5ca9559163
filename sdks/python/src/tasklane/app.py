"""An application: its tasks, and the server they go to."""

from __future__ import annotations

import os
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, TypeVar, Union, cast, overload

from .client import Client
from .handle import Handle
from .keys import Keys
from .options import Callback, Limit, Retry, members
from .schedules import Planned, Schedules
from .submit import encode
from .task import AsyncTask, P, SyncTask, Task
from .webhooks import Webhooks
from .worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .duration import Duration
    from .options import Priority

    T = TypeVar("T")

    class Decorator(Protocol):
        """Makes a task of a function."""

        @overload
        def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
            self, function: Callable[P, Coroutine[Any, Any, T]], /
        ) -> AsyncTask[P, T]: ...
        @overload
        def __call__(self, function: Callable[P, T], /) -> SyncTask[P, T]: ...


DEFAULT_URL = "http://127.0.0.1:8000"
"""Where a server is looked for unless something else is said."""


class App:
    """Tasks and the server they go to: `url`, else `TASKLANE_URL`, else `http://127.0.0.1:8000`; shown to it is
    `api_key`, else `TASKLANE_API_KEY`. Nothing is read or connected before it is needed."""

    def __init__(self, url: Optional[str] = None, api_key: Optional[str] = None):
        self._url, self._api_key = url, api_key
        self._client: Optional[Client] = None
        self._lock = threading.Lock()
        #: The tasks by name: what a worker of this app serves.
        self.tasks: dict[str, Task[..., Any]] = {}
        #: The keys of the server.
        self.keys = Keys(self.client)
        #: The schedules of the server.
        self.schedules = Schedules(self.client)
        #: The webhooks of the server.
        self.webhooks = Webhooks(self.client)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._url or os.environ.get("TASKLANE_URL") or DEFAULT_URL

    @property
    def api_key(self) -> Optional[str]:
        """The key to show, if there is one."""
        return self._api_key or os.environ.get("TASKLANE_API_KEY") or None

    def task(
        self,
        *,
        name: Optional[str] = None,
        queue: Optional[str] = None,
        retry: Optional[Union[Retry, Sequence[Duration]]] = None,
        timeout: Optional[Duration] = None,
        heartbeat_timeout: Optional[Duration] = None,
        max_attempts: Optional[int] = None,
        priority: Optional[Priority] = None,
        labels: Optional[Mapping[str, str]] = None,
        limits: Optional[Sequence[Union[Limit, str]]] = None,
        callback: Optional[Union[Callback, str]] = None,
    ) -> Decorator:
        """Makes a task of a function: `@app.task(queue="mail", max_attempts=5)`.

        `name` is the task's type, the function's name unless said. The other options are those of `Task.with_`, and hold
        for every enqueue. Raises `ValueError` for a value that cannot be, or a name that is taken.
        """
        options = {
            "queue": queue,
            "retry": retry,
            "timeout": timeout,
            "heartbeat_timeout": heartbeat_timeout,
            "max_attempts": max_attempts,
            "priority": priority,
            "labels": labels,
            "limits": limits,
            "callback": callback,
        }

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            if not callable(function) or isinstance(function, Task):
                raise TypeError("@app.task(...) stands before a function")
            called = name or function.__name__
            if called in self.tasks:
                raise ValueError(f"two tasks are called {called!r}; give one another name=")
            given = {key: value for key, value in options.items() if value is not None}
            task: Task[..., Any] = SyncTask(self, function, called, given)
            if task.signature.is_async:
                task = AsyncTask(self, function, called, given)
            self.tasks[called] = task
            return task

        return cast("Decorator", decorate)

    async def enqueue(self, type: str, payload: Any = None, **options: Any) -> Handle[Any]:
        """Submits a task of another program by its type, with any JSON as payload; options as of `Task.with_`."""
        return Handle(await self.client().submitter.asubmit(_new_task(type, payload, options)), self.client)

    def enqueue_sync(self, type: str, payload: Any = None, **options: Any) -> Handle[Any]:
        """As `enqueue`, for code without an event loop."""
        return Handle(self.client().submitter.submit(_new_task(type, payload, options)), self.client)

    def planned(self, type: str, payload: Any = None, **options: Any) -> Planned:
        """A task of another program that is not submitted: what each slot of a schedule makes. Options as of `Task.with_`."""
        return Planned({"type": type, "payload": payload, **members(options)})

    def handle(self, id: str) -> Handle[Any]:
        """The handle of a task whose id is known. Nothing is asked yet."""
        return Handle(id, self.client)

    def worker(self, concurrency: int = 8, **options: Any) -> Worker:
        """A worker of this app's tasks, to be run with `Worker.run`; options as of `Worker`."""
        return Worker(self, concurrency, **options)

    def run(self, concurrency: int = 8, **options: Any) -> None:
        """Works on this app's tasks until SIGTERM or Ctrl-C, then drains; a second signal ends it at once.

        At most `concurrency` handlers run at once: coroutines on one event loop, plain functions in threads, or all in
        processes with `mode="processes"`. Further options as of `Worker`. Raises `Refused` if the server does not let it
        work, `ValueError` if there is no task.
        """
        self.worker(concurrency, **options).run()

    def client(self) -> Client:
        """The connection of this process; made by the first call. A forked process gets one of its own."""
        client = self._client
        if client is None or client.pid != os.getpid():
            with self._lock:
                client = self._client
                if client is None or client.pid != os.getpid():
                    client = self._client = Client(self.url, self.api_key)
        return client


def _new_task(type: str, payload: Any, options: dict[str, Any]) -> bytes:
    return encode({"type": type, "payload": payload, **members(options)})
