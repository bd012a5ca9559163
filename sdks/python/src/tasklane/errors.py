"""What may go wrong for a program that submits. `TasklaneError` is above them all."""

from __future__ import annotations

from typing import Any, Literal, Optional


class TasklaneError(Exception):
    """Above every error of this package."""


class Unreachable(TasklaneError):
    """There was no connection, so nothing was done; trying again is safe."""


class OutcomeUnknown(TasklaneError):
    """The request went out and no answer came back: it may or may not have been done.

    A submit with an id, an idempotency key or a unique key of its own can be repeated without making a second task.
    """


class InvalidAnswer(TasklaneError):
    """The answer was not what a Tasklane server says."""


class Refused(TasklaneError):
    """The server said no. `code` is stable; `tasklane explain CODE` says what to do about it."""

    def __init__(self, status: int, code: str, detail: str, problem: dict[str, Any], retry_after: Optional[float]):
        super().__init__(f"{detail} ({code})")
        #: HTTP status.
        self.status = status
        #: The problem's stable code.
        self.code = code
        #: What was wrong and what to do.
        self.detail = detail
        #: The whole problem, as the server wrote it (RFC 9457).
        self.problem = problem
        #: When to try again, in seconds, where the server said so.
        self.retry_after = retry_after

    @classmethod
    def of(cls, problem: dict[str, Any], status: int = 0, retry_after: Optional[float] = None) -> Refused:
        """The error for a problem body."""
        detail = str(problem.get("detail") or problem.get("title") or "the server refused the request")
        for error in problem.get("errors") or []:
            detail += f"; {error.get('path')}: {error.get('message')}"
        code = str(problem.get("code", "unknown"))
        return cls(int(problem.get("status", status)), code, detail, problem, retry_after)


class SignatureError(TasklaneError):
    """A message that came to a webhook is not to be believed; answer it with status 400. The text says why and what to
    do."""

    def __init__(self, kind: Literal["malformed", "wrong", "out_of_time"], message: str):
        super().__init__(message)
        #: malformed: what is needed is not there; wrong: no signature is right; out_of_time: too old, or ahead.
        self.kind = kind


class ResultTimeout(TasklaneError, TimeoutError):
    """The task was not final when the time was over. It goes on; ask again."""


class TaskFailed(TasklaneError):
    """The task ended without a result. `kind` and `message` say why."""

    def __init__(self, id: str, kind: str, message: str, failure: Optional[dict[str, Any]] = None):
        super().__init__(f"task {id}: {message} ({kind})")
        #: Which task.
        self.id = id
        #: error, permanent, timeout, lease_lost, killed, out_of_memory, rejected, budget, parent_failed; or how it ended.
        self.kind = kind
        #: The last attempt's message.
        self.message = message
        #: The failure as the server keeps it: with `details` and `stack` where the handler gave them.
        self.failure = failure or {}


class TaskCancelled(TaskFailed):
    """Somebody cancelled the task; `kind` is cancelled."""


class TaskExpired(TaskFailed):
    """The task's start deadline passed before it started; `kind` is expired."""
