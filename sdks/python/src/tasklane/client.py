"""One event loop in one background thread carries all requests of an app: calls of any thread or loop share it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Callable, Optional, TypeVar

from .http import Http
from .submit import Submitter

T = TypeVar("T")


class Client:
    """The connection of this process to one server. Begins with the first call, ends with the process."""

    def __init__(self, url: str, api_key: Optional[str]):
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        began: Future[Http] = Future()
        threading.Thread(target=self._run, args=(began, url, api_key), name="tasklane", daemon=True).start()
        self.http = began.result()
        self.submitter = Submitter(self.http, self.loop)

    def _run(self, began: Future[Http], url: str, api_key: Optional[str]) -> None:
        asyncio.set_event_loop(self.loop)

        async def begin() -> Http:
            return Http(url, api_key)

        try:
            began.set_result(self.loop.run_until_complete(begin()))
        except BaseException as error:
            began.set_exception(error)
            return
        self.loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs a coroutine on the client's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the client's loop and waits for it. Interrupted, it is cancelled."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def apart(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the client's loop and awaits it on the caller's."""
        return await asyncio.wrap_future(self.start(work))

    def soon(self, call: Callable[..., object], *arguments: Any) -> None:
        """Calls on the client's loop, soon; from any thread."""
        self.loop.call_soon_threadsafe(call, *arguments)
