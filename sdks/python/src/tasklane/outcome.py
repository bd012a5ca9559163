"""What a handler raises when it does not succeed. Any other exception is a failure that is tried again."""

from __future__ import annotations

from typing import Any, Optional

from .duration import Duration, seconds


class Permanent(Exception):
    """It failed, and trying again is useless. `details` is JSON for programs."""

    def __init__(self, message: str, details: Any = None):
        super().__init__(message)
        self.details = details


class RetryIn(Exception):
    """It failed, and is to be tried again after this long instead of the task's back-off."""

    def __init__(self, after: Duration, message: str = "", details: Any = None):
        super().__init__(message or f"try again in {after}")
        self.after = seconds(after)
        self.details = details


class Snooze(Exception):
    """It has not failed: call again after this long. No attempt is charged."""

    def __init__(self, after: Duration):
        super().__init__(f"snoozed for {after}")
        self.after = seconds(after)


class Cancelled(Exception):
    """It stopped because `ctx.cancelled` told it to."""


class Stopped(BaseException):
    """Raised inside a handler in a thread that did not stop by itself, some seconds after it was told to.

    Not an `Exception`, so that a handler's `except Exception` lets it pass; `finally` blocks run.
    """

    def __init__(self, reason: Optional[str] = None):
        super().__init__(reason or "the attempt is to stop")
