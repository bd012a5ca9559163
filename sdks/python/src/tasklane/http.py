"""HTTP/1.1 over asyncio streams: as much as one server's JSON and event streams need. The only place that knows HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any, Optional
from urllib.parse import urlsplit

from .errors import InvalidAnswer, OutcomeUnknown, Refused, Unreachable

CONNECT_SECONDS = 5.0
"""How long a connection may take to come about."""
ANSWER_SECONDS = 30.0
"""How long an answer may take beyond a wait that was asked for."""
HEAD_BYTES = 64 << 10
"""Longest head of an answer."""
BODY_BYTES = 64 << 20
"""Longest body of an answer; a lease of the largest payloads is half of it."""
IDLE_SECONDS = 20.0
"""How long an idle connection is kept: less than the server keeps one, so that it is hardly ever found closed."""
CONNECTIONS = 256
"""Most requests at once; more wait for their turn."""

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer:
    """Status, headers (names in lower case) and where the body is read from."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader):
        self.status = status
        self.headers = headers
        self._reader = reader

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes in."""
        if self.status == 204 or self.status == 304:
            return
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while size := int((await self._reader.readline()).split(b";")[0], 16):
                yield await self._reader.readexactly(size)
                await self._reader.readexactly(2)
            while (await self._reader.readline()).strip():
                pass
        elif "content-length" in self.headers:
            length = int(self.headers["content-length"])
            if length > BODY_BYTES:
                raise InvalidAnswer(f"an answer of {length} bytes; at most {BODY_BYTES} are read")
            yield await self._reader.readexactly(length)
        else:
            while piece := await self._reader.read(HEAD_BYTES):
                yield piece

    async def body(self) -> bytes:
        """The whole body."""
        found, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > BODY_BYTES:
                raise InvalidAnswer(f"an answer of more than {BODY_BYTES} bytes")
            found.append(piece)
        return found[0] if len(found) == 1 else b"".join(found)

    @property
    def keeps(self) -> bool:
        """Whether the connection can carry another request once the body was read."""
        ends = "chunked" in self.headers.get("transfer-encoding", "") or "content-length" in self.headers
        return (ends or self.status == 204) and self.headers.get("connection", "").lower() != "close"


class Http:
    """Speaks with one server. Everything runs on one event loop."""

    def __init__(self, url: str, api_key: Optional[str]):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a server; write it like http://127.0.0.1:8000")
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self.url = url
        self.api_key = api_key
        head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: tasklane-python\r\n"
        if api_key:
            if not api_key.isascii() or not api_key.isprintable():
                raise ValueError("an API key is printable ASCII")
            head += f"Authorization: Bearer {api_key}\r\n"
        self._head = head
        self._idle: list[tuple[float, _Streams]] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def call(self, method: str, path: str, body: Optional[bytes] = None, wait: float = 0.0) -> Any:
        """The JSON of a 2xx answer, `None` where it has no body. `wait`: seconds the server was asked to take.

        Raises `Unreachable`, `OutcomeUnknown`, `Refused` or `InvalidAnswer`.
        """
        async with self._turns:
            try:
                answer, data = await asyncio.wait_for(self._ask(method, path, body), ANSWER_SECONDS + wait)
            except asyncio.TimeoutError:
                raise OutcomeUnknown(f"no answer from {self.url} within {ANSWER_SECONDS + wait:.0f} s") from None
        return _read(answer, data)

    async def _ask(self, method: str, path: str, body: Optional[bytes]) -> tuple[Answer, bytes]:
        while True:
            streams, used = await self._connection()
            heard = False
            try:
                answer = await self._send(streams, method, path, body)
                heard = True
                data = await answer.body()
            except (OSError, EOFError, ValueError) as error:
                streams[1].close()
                if used and not heard and method == "GET":
                    continue  # The server had closed the idle connection.
                raise OutcomeUnknown(f"no answer, so it is not known whether it was done: {error!r}") from error
            except BaseException:
                streams[1].close()
                raise
            if answer.keeps:
                self._idle.append((time.monotonic(), streams))
            else:
                streams[1].close()
            return answer, data

    @contextlib.asynccontextmanager
    async def stream(self, path: str, headers: dict[str, str]) -> AsyncIterator[Answer]:
        """An answer whose body comes piece by piece, on a connection of its own."""
        streams = await self._connect()
        try:
            answer = await asyncio.wait_for(self._send(streams, "GET", path, None, headers), ANSWER_SECONDS)
            if answer.status >= 300:
                _read(answer, await answer.body())
            yield answer
        finally:
            streams[1].close()

    async def _connection(self) -> tuple[_Streams, bool]:
        while self._idle:
            since, (reader, writer) = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and not reader.at_eof() and not writer.is_closing():
                return (reader, writer), True
            writer.close()
        return await self._connect(), False

    async def _connect(self) -> _Streams:
        secure = ssl.create_default_context() if self._secure else None
        opening = asyncio.open_connection(self._host, self._port, ssl=secure, limit=HEAD_BYTES)
        try:
            return await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            raise Unreachable(f"cannot reach the server at {self.url}: {error or 'no connection in time'}") from error

    async def _send(
        self, streams: _Streams, method: str, path: str, body: Optional[bytes], headers: Optional[dict[str, str]] = None
    ) -> Answer:
        reader, writer = streams
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}"
        for name, value in (headers or {}).items():
            head += f"{name}: {value}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode("ascii") + b"\r\n" + (body or b""))
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return Answer(int(lines[0].split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}, reader)


def _read(answer: Answer, data: bytes) -> Any:
    try:
        value = json.loads(data) if data else None
    except ValueError:
        value = None
        if answer.status < 300:
            raise InvalidAnswer(f"status {answer.status} with a body that is not JSON") from None
    if answer.status < 300:
        return value
    problem: dict[str, Any] = value if isinstance(value, dict) else {"detail": f"HTTP status {answer.status}"}
    after = answer.headers.get("retry-after", "")
    raise Refused.of(problem, answer.status, float(after) if after.isdigit() else None)
