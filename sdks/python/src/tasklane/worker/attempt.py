"""One attempt while this worker holds it: what its handler has said, and the word that it is to stop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..duration import seconds, text
from . import settings
from .text import dumps, quoted, repaired

if TYPE_CHECKING:
    from .ledger import Ledger

# Why an attempt is to stop; a later one counts more than an earlier one.
NO, HERE, TOO_LONG, CANCELLED, LOST = range(5)
REASONS = (
    "",
    "the worker ends",
    "the attempt took longer than its timeout",
    "the task was cancelled",
    "the lease is lost",
)

Outcome = tuple[str, str]
"""A list of the API's report, and the members of the item behind id and lease: `("succeed", ',"result":1')`."""


class Printing:
    """Makes log lines of what is printed."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: Optional[dict[str, str]] = None

    def log(self, level: str, message: str, fields: Optional[Mapping[str, Any]]) -> None:
        """Takes a line."""
        raise NotImplementedError

    def printed(self, level: str, piece: str) -> None:
        """Takes a piece of text; each full line becomes a log line."""
        partial = self._partial = self._partial or {}
        *lines, rest = (partial.get(level, "") + piece).split("\n")
        for line in lines:
            if line.strip():
                self.log(level, line.rstrip("\r"), None)
        partial[level] = rest[-settings.LOG_LINE :]

    def flush(self) -> None:
        """The handler has ended: what has no line end becomes a line, too."""
        if self._partial:
            for level, rest in self._partial.items():
                if rest.strip():
                    self.log(level, rest, None)
            self._partial = None


class Attempt(Printing):
    """One attempt. Its fields are changed under the ledger's lock."""

    __slots__ = (
        "abandoned", "arrived", "began", "checkpoints", "forced", "id", "in_flight", "key", "lease", "leased", "ledger",
        "lines", "log_size", "logs", "on_force", "on_tell", "order", "parked", "said", "spoken", "stop", "talking",
        "told_at", "type", "words",
    )  # fmt: skip

    def __init__(self, leased: dict[str, Any], arrived: float, order: int, ledger: Ledger):
        self._partial = None
        self.leased = leased
        self.id: str = leased["id"]
        self.lease: str = leased["lease"]
        self.type: str = leased["type"]
        self.arrived = arrived
        self.order = order
        self.ledger = ledger
        self.key = f'{{"id":{encode_basestring_ascii(self.id)},"lease":{encode_basestring_ascii(self.lease)}'
        #: When its handler began; 0 before.
        self.began = 0.0
        self.stop = NO
        self.told_at = 0.0
        self.forced = False
        #: Given up: whoever runs it is no longer waited for.
        self.abandoned = False
        #: Called once when it is told to stop, and once when it is to be made to.
        self.on_tell: Optional[Callable[[], object]] = None
        self.on_force: Optional[Callable[[], object]] = None
        #: Words that wait to go out: since when, and when the last ones went.
        self.talking = False
        self.said = 0.0
        self.spoken = 0.0
        self.words: Optional[dict[str, Any]] = None
        self.logs: list[str] = []
        self.checkpoints: list[str] = []
        self.lines = 0
        self.log_size = 0
        #: Reports in flight that carry its words; its outcome waits for them.
        self.in_flight = 0
        self.parked: Optional[Outcome] = None

    @property
    def stopped(self) -> bool:
        """Whether the handler is to stop."""
        return self.stop != NO

    @property
    def timeout(self) -> Optional[float]:
        """Most seconds of this attempt, from its lease on."""
        found = self.leased.get("attempt_timeout")
        return None if found is None else seconds(found)

    def progress(self, members: dict[str, Any]) -> None:
        """The last word wins; no member is a sign of life alone."""
        if "data" in members:
            members["data"] = dumps(members["data"])
        with self.ledger.lock:
            self.words = members or self.words or {}
            self.ledger.speaks(self)

    def log(self, level: str, message: str, fields: Optional[Mapping[str, Any]]) -> None:
        """Takes a line, until there are more than the server keeps."""
        message = quoted(message, settings.LOG_LINE)
        more = f',"fields":{repaired(fields)}' if fields else ""
        with self.ledger.lock:
            if self.lines > settings.LOG_LINES or self.log_size > settings.LOG_BYTES:
                return
            after = text(max(0.0, round(time.monotonic() - self.arrived, 3)))
            line = f'{self.key},"n":{self.lines},"level":"{level}","message":{message}{more},"after":"{after}"}}'
            self.lines += 1
            self.log_size += len(message)
            self.logs.append(line)
            self.ledger.speaks(self)

    def checkpoint(self, name: str, data: Any) -> None:
        """Takes a checkpoint."""
        item = f'{self.key},"name":{dumps(name)},"data":{dumps(data)}}}'
        with self.ledger.lock:
            self.checkpoints.append(item)
            self.ledger.speaks(self)

    def due(self, now: float) -> bool:
        """Whether its words are to go out."""
        return now >= self.said + settings.WORDS_AFTER and now >= self.spoken + self._words_every()

    def _words_every(self) -> float:
        silence = self.leased.get("heartbeat_timeout")
        return settings.WORDS_EVERY if silence is None else min(settings.WORDS_EVERY, seconds(silence) / 3)


class Words:
    """What a report carries of an attempt's words, and puts back if nobody answers."""

    __slots__ = ("attempt", "checkpoints", "logs", "progress", "size")

    def __init__(self, attempt: Attempt, now: float, most_lines: int):
        self.attempt = attempt
        self.progress, attempt.words = attempt.words, None
        self.logs, attempt.logs = attempt.logs[:most_lines], attempt.logs[most_lines:]
        self.checkpoints, attempt.checkpoints = attempt.checkpoints[:most_lines], attempt.checkpoints[most_lines:]
        self.size = sum(map(len, self.logs)) + sum(map(len, self.checkpoints)) + 1000
        attempt.spoken = now
        attempt.in_flight += 1

    def put_back(self) -> None:
        """They are to be said again."""
        attempt = self.attempt
        attempt.words = self.progress if attempt.words is None else attempt.words
        attempt.logs = self.logs + attempt.logs
        attempt.checkpoints = self.checkpoints + attempt.checkpoints

    def progress_item(self) -> Optional[str]:
        """The item of the API's `progress`."""
        if self.progress is None:
            return None
        item = self.attempt.key
        if "percent" in self.progress:
            item += f',"percent":{dumps(self.progress["percent"])}'
        if "message" in self.progress:
            item += f',"message":{quoted(self.progress["message"], settings.LOG_LINE)}'
        if "data" in self.progress:
            item += f',"data":{self.progress["data"]}'
        return item + "}"
