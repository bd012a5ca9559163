"""What handlers print and log becomes log lines of their tasks; it also goes where it went before."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

from ..context import current

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (0, "debug"))


class Stream(io.TextIOBase):
    """Stands before `sys.stdout` or `sys.stderr` while a worker runs."""

    def __init__(self, real: Any, level: str):
        super().__init__()
        self._real, self._level = real, level

    def write(self, text: str) -> int:
        sink: Any = current.get()
        if sink is not None:
            sink.printed(self._level, text)
        if self._real is not None:  # As in a program without a terminal.
            self._real.write(text)
        return len(text)

    def flush(self) -> None:
        if self._real is not None:
            self._real.flush()

    def fileno(self) -> int:
        return int(self._real.fileno())

    def isatty(self) -> bool:
        return bool(self._real.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return str(self._real.encoding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Lines(logging.Handler):
    """Takes records of handlers. Those of the worker itself are not theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        sink = current.get()
        if sink is None or record.name.startswith("tasklane."):
            return
        try:
            level = next(word for least, word in _LEVELS if record.levelno >= least)
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["stack"] = self.formatException(record)
            sink.log(level, record.getMessage(), fields)
        except Exception:
            self.handleError(record)

    @staticmethod
    def formatException(record: logging.LogRecord) -> str:
        """The traceback of a record."""
        return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Captures inside the block. A program that has not set up `logging` gets lines from INFO on, on stderr, too."""
    root = logging.getLogger()
    level, streams = root.level, (sys.stdout, sys.stderr)
    added: list[logging.Handler] = [Lines()]
    if not root.handlers:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        added.append(plain)
        root.setLevel(logging.INFO)
    for handler in added:
        root.addHandler(handler)
    ours = Stream(sys.stdout, "info"), Stream(sys.stderr, "warn")
    sys.stdout, sys.stderr = ours
    try:
        yield
    finally:
        # Whoever has put something else in the place meanwhile keeps it.
        if sys.stdout is ours[0]:
            sys.stdout = streams[0]
        if sys.stderr is ours[1]:
            sys.stderr = streams[1]
        for handler in added:
            root.removeHandler(handler)
        root.setLevel(level)
