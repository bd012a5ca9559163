"""Runs a handler, and turns what it did into an outcome."""

from __future__ import annotations

import traceback
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from ..context import Context, Sink, current
from ..duration import text
from ..outcome import Cancelled, Permanent, RetryIn, Snooze
from ..signature import Unfit
from . import settings
from .attempt import Outcome
from .text import dumps, quoted

if TYPE_CHECKING:
    from ..task import Task


class Speaker(Sink, Protocol):
    """A sink that also takes what is printed."""

    def flush(self) -> None:
        """The handler has ended."""
        ...


def run(task: Task[..., Any], leased: dict[str, Any], sink: Speaker) -> Outcome:
    """Runs a plain function in this thread. `Stopped`, raised from elsewhere, passes as an outcome, too."""
    try:
        arguments = _arguments(task, leased, sink)
        context = copy_context()
        context.run(current.set, sink)
        outcome = succeeded(context.run(task.function, **arguments))
    except BaseException as error:
        outcome = failed(error)
    sink.flush()
    return outcome


async def run_async(task: Task[..., Any], leased: dict[str, Any], sink: Speaker) -> Outcome:
    """Runs a coroutine function. To be called in an asyncio task of its own, whose cancellation is the handler's."""
    current.set(sink)
    try:
        outcome = succeeded(await task.function(**_arguments(task, leased, sink)))
    except BaseException as error:
        outcome = failed(error)
    sink.flush()
    return outcome


def _arguments(task: Task[..., Any], leased: dict[str, Any], sink: Sink) -> dict[str, Any]:
    arguments = task.signature.arguments(leased.get("payload"))
    if task.signature.wants_ctx:
        return {**arguments, "ctx": Context(sink, leased)}
    return arguments


def succeeded(result: Any) -> Outcome:
    """The outcome for what a handler returned."""
    if result is None:
        return "succeed", ""
    try:
        json = dumps(result)
    except (TypeError, ValueError, RecursionError) as error:
        return failure("permanent", f"the result cannot be written as JSON: {error}")
    if len(json) * 4 > settings.RESULT_BYTES and (size := len(json.encode("utf-8"))) > settings.RESULT_BYTES:
        return failure("permanent", f"the result has {size} bytes; at most {settings.RESULT_BYTES} are kept")
    return "succeed", f',"result":{json}'


def failed(error: BaseException) -> Outcome:
    """The outcome for what a handler raised. Where it was told to stop, a failure counts as that (`ledger.judge`)."""
    if isinstance(error, Snooze):
        return "snooze", f',"for":"{text(error.after)}"'
    if isinstance(error, Cancelled):
        return "cancelled", ""
    if isinstance(error, Unfit):
        return failure("permanent", f"the payload is not what the handler takes: {error}")
    if isinstance(error, (Permanent, RetryIn)):
        more = f',"retry_after":"{text(error.after)}"' if isinstance(error, RetryIn) else ""
        kind = "permanent" if isinstance(error, Permanent) else "error"
        return failure(kind, str(error), more + _details(error.details))
    kind = "out_of_memory" if isinstance(error, MemoryError) else "error"
    try:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-40:])
    except Exception as another:
        # Exceptions are code of others, too.
        said, stack = f"{type(error).__name__} (its text cannot be had: {type(another).__name__})", ""
    return failure(kind, said, f',"stack":{quoted(stack[-settings.STACK // 2 :], settings.STACK)}')


def _details(details: Any) -> str:
    if details is None:
        return ""
    try:
        return f',"details":{dumps(details)}'
    except (TypeError, ValueError, RecursionError):
        return f',"details":{quoted(repr(details), settings.MESSAGE)}'


def failure(kind: str, message: str, more: str = "") -> Outcome:
    """A failed outcome."""
    return "fail", f',"kind":"{kind}","message":{quoted(message, settings.MESSAGE)}{more}'
