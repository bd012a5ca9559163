"""Durable tasks for Python: enqueue them, work on them, wait for their results.

    from tasklane import App

    app = App()

    @app.task(queue="mail", max_attempts=5, timeout="2m")
    def greet(name: str) -> str:
        return f"Hello {name}"

    print(greet.enqueue_sync("Ada").result_sync(timeout="30s"))   # with `app.run()` in another process

Importing does nothing: no connection, no thread, no environment read. Durations are numbers of seconds, `timedelta`s
or texts such as `"90s"`, `"1h30m"` everywhere.
"""

from .app import App
from .context import CTX, Context
from .duration import Duration
from .errors import (
    InvalidAnswer,
    OutcomeUnknown,
    Refused,
    ResultTimeout,
    SignatureError,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TasklaneError,
    Unreachable,
)
from .handle import Event, Handle
from .keys import Key, Keys
from .options import Callback, Limit, Retry, Unique
from .outcome import Cancelled, Permanent, RetryIn, Snooze, Stopped
from .schedules import Planned, Run, Schedule, Schedules
from .signed import verify_webhook
from .task import Task
from .webhooks import Delivery, Webhook, Webhooks
from .worker import Worker

__version__ = "0.1.0"

__all__ = [
    "CTX",
    "App",
    "Callback",
    "Cancelled",
    "Context",
    "Delivery",
    "Duration",
    "Event",
    "Handle",
    "InvalidAnswer",
    "Key",
    "Keys",
    "Limit",
    "OutcomeUnknown",
    "Permanent",
    "Planned",
    "Refused",
    "ResultTimeout",
    "Retry",
    "RetryIn",
    "Run",
    "Schedule",
    "Schedules",
    "SignatureError",
    "Snooze",
    "Stopped",
    "Task",
    "TaskCancelled",
    "TaskExpired",
    "TaskFailed",
    "TasklaneError",
    "Unique",
    "Unreachable",
    "Webhook",
    "Webhooks",
    "Worker",
    "verify_webhook",
]
