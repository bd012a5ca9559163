"""Server-sent events: reads a stream, and resumes it where the connection was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .errors import InvalidAnswer, Unreachable
from .http import Http

PAUSE = 0.5
"""Seconds before a lost stream is asked for again."""
TRIES = 20
"""Connections in a row that may fail before the stream is given up."""
EVENT_BYTES = 4 << 20
"""Longest event."""


async def read_events(http: Http, path: str) -> AsyncIterator[tuple[str, str]]:
    """The events at `path` as (name, data), until the event `end`. A stream that ends without it was cut off by a server
    that stops, and is resumed like any that was lost. Raises `Refused`, `Unreachable`."""
    last, failed = "", 0
    while True:
        try:
            async with http.stream(path, {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}) as it:
                if it.status == 204:
                    return  # Resumed behind the end.
                async for name, data, last in _events(it.pieces(), last):
                    failed = 0
                    if name == "end":
                        return
                    yield name, data
                raise EOFError("the stream ended early")
        except (Unreachable, OSError, EOFError, ValueError) as error:
            failed += 1
            if failed >= TRIES:
                raise Unreachable(f"the stream {path} was lost: {error!r}") from error
            await asyncio.sleep(PAUSE)


async def _events(pieces: AsyncIterator[bytes], last: str) -> AsyncIterator[tuple[str, str, str]]:
    name, data, rest = "", [], b""
    async for piece in pieces:
        rest += piece
        if len(rest) > EVENT_BYTES:
            raise InvalidAnswer(f"an event of more than {EVENT_BYTES} bytes")
        *lines, rest = rest.split(b"\n")
        for raw in lines:
            field, _, value = raw.rstrip(b"\r").decode("utf-8").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                last = value
            elif field == "" and not raw.strip():
                if data:
                    yield name or "message", "\n".join(data), last
                name, data = "", []
