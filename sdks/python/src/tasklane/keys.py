"""Keys: who may call. Each method has a twin without `await`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Literal, Optional
from urllib.parse import urlencode

from .client import Client
from .duration import Duration, text
from .options import listed, moment
from .submit import encode

Scope = Literal["submit", "read", "work", "admin"]
"""What a key lets its holder do; `admin` is everything."""


@dataclass(frozen=True)
class Key:
    """A key as it was when it was read."""

    #: The shape of the API, without the secret.
    data: dict[str, Any]
    #: The secret, where it was made or rotated just now; it is not shown again.
    secret: Optional[str] = None

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    @property
    def id(self) -> str:
        """Which."""
        return str(self.data["id"])

    @property
    def name(self) -> str:
        """Its name: no other one of its tenant has it."""
        return str(self.data["name"])


class Keys:
    """The keys of the server; `App.keys`. Needs a key with the scope `admin`, but for the first one."""

    def __init__(self, client: Callable[[], Client]):
        self._client = client

    async def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        tenant: Optional[str] = None,
        user: Optional[str] = None,
        app: Optional[str] = None,
        lanes: Optional[Sequence[tuple[str, Sequence[str]]]] = None,
        rate: Optional[tuple[int, Duration]] = None,
        expires_at: Optional[datetime] = None,
    ) -> Key:
        """Makes a key; its `secret` is shown this once.

        `tenant`: its holder sees and touches nothing else. `user`, `app`: whom it is given to, for whoever reads the list.
        `lanes`: work is leased of these alone, such as `[("mail", ["*"])]`. `rate`: how often it may call, such as
        `(100, "1m")`. From a server's first key on every call needs one, so the first must have the scope `admin` and no
        tenant. Raises `Refused`.
        """
        body = _new(name, scopes, tenant, user, app, lanes, rate, expires_at)
        client = self._client()
        return _made(await client.apart(client.http.call("POST", "/v1/keys", body)))

    def create_sync(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        tenant: Optional[str] = None,
        user: Optional[str] = None,
        app: Optional[str] = None,
        lanes: Optional[Sequence[tuple[str, Sequence[str]]]] = None,
        rate: Optional[tuple[int, Duration]] = None,
        expires_at: Optional[datetime] = None,
    ) -> Key:
        """As `create`."""
        body = _new(name, scopes, tenant, user, app, lanes, rate, expires_at)
        client = self._client()
        return _made(client.sync(client.http.call("POST", "/v1/keys", body)))

    async def all(self) -> list[Key]:
        """Every key, in the order in which they were made, without their secrets."""
        client = self._client()
        return await client.apart(_all(client))

    def all_sync(self) -> list[Key]:
        """As `all`."""
        client = self._client()
        return client.sync(_all(client))

    async def rotate(self, id: str, overlap: Duration = "1d") -> Key:
        """Gives a key a new secret, shown this once; the one before opens for `overlap` more."""
        client = self._client()
        return _made(await client.apart(client.http.call("POST", f"/v1/keys/{id}:rotate", _overlap(overlap))))

    def rotate_sync(self, id: str, overlap: Duration = "1d") -> Key:
        """As `rotate`."""
        client = self._client()
        return _made(client.sync(client.http.call("POST", f"/v1/keys/{id}:rotate", _overlap(overlap))))

    async def revoke(self, id: str) -> Key:
        """Has a key open nothing any more, on every server within a second."""
        client = self._client()
        return _made(await client.apart(client.http.call("POST", f"/v1/keys/{id}:revoke")))

    def revoke_sync(self, id: str) -> Key:
        """As `revoke`."""
        client = self._client()
        return _made(client.sync(client.http.call("POST", f"/v1/keys/{id}:revoke")))

    async def remove(self, id: str) -> Key:
        """Forgets a key that was revoked. What it was."""
        client = self._client()
        return _made(await client.apart(client.http.call("DELETE", f"/v1/keys/{id}")))

    def remove_sync(self, id: str) -> Key:
        """As `remove`."""
        client = self._client()
        return _made(client.sync(client.http.call("DELETE", f"/v1/keys/{id}")))


def _new(
    name: str,
    scopes: Sequence[Scope],
    tenant: Optional[str],
    user: Optional[str],
    app: Optional[str],
    lanes: Optional[Sequence[tuple[str, Sequence[str]]]],
    rate: Optional[tuple[int, Duration]],
    expires_at: Optional[datetime],
) -> bytes:
    members: dict[str, Any] = {"tenant": tenant, "user": user, "app": app}
    if lanes is not None:
        members["lanes"] = [{"queue": queue, "types": list(types)} for queue, types in lanes]
    if rate is not None:
        members["rate"] = {"count": rate[0], "per": text(rate[1])}
    if expires_at is not None:
        members["expires_at"] = moment("expires_at", expires_at)
    given = {key: value for key, value in members.items() if value is not None}
    return encode({"name": name, "scopes": listed("scopes", scopes), **given})


def _overlap(overlap: Duration) -> bytes:
    return encode({"overlap": text(overlap)})


def _made(data: dict[str, Any]) -> Key:
    shown = {key: value for key, value in data.items() if key != "key"}
    return Key(shown, data.get("key"))


async def _all(client: Client) -> list[Key]:
    found: list[Key] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.http.call("GET", f"/v1/keys?{urlencode({'limit': 200, **cursor})}")
        found += [_made(it) for it in page["items"]]
        if "next_cursor" not in page:
            return found
        cursor = {"cursor": page["next_cursor"]}
