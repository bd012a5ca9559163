"""Webhooks: where events are sent, and what was sent there. Each method has a twin without `await`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Literal, Optional
from urllib.parse import quote, urlencode

from .client import Client
from .duration import Duration, text
from .options import listed
from .signed import key_of
from .submit import encode

Format = Literal["standard", "cloudevents"]
"""How bodies are written: as Standard Webhooks says (type, timestamp, data), or as CloudEvents 1.0 does."""


@dataclass(frozen=True)
class Webhook:
    """A webhook as it was when it was read."""

    #: The shape of the API, without the secret.
    data: dict[str, Any]
    #: What signs, for `verify_webhook`, where it was made or rotated just now; it is not shown again.
    secret: Optional[str] = None

    def __repr__(self) -> str:
        return f"Webhook({self.id!r}, {self.url!r})"

    @property
    def id(self) -> str:
        """Which."""
        return str(self.data["id"])

    @property
    def url(self) -> str:
        """Where events are sent."""
        return str(self.data["url"])

    @property
    def disabled(self) -> bool:
        """Whether nothing is sent; since when and why stands in `data`."""
        return self.data.get("disabled") is not None


@dataclass(frozen=True)
class Delivery:
    """A message to a webhook, as it was when it was read."""

    #: The shape of the API.
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """Which."""
        return str(self.data["id"])

    @property
    def message(self) -> str:
        """The id by which its receiver knows it, the header `webhook-id`; the same where it was sent once more."""
        return str(self.data["message"])

    @property
    def event(self) -> str:
        """Of what it tells, such as `task.failed`."""
        return str(self.data["event"])

    @property
    def state(self) -> str:
        """Where it stands, such as `succeeded`, or `retrying` where it failed and is tried again."""
        return str(self.data["state"])

    @property
    def status(self) -> Optional[int]:
        """The HTTP status of the last answer; `None` where there was none."""
        status = self.data.get("status")
        return None if status is None else int(status)


class Webhooks:
    """The webhooks of the server; `App.webhooks`. Whoever changes them needs a key with the scope `admin`. What is not
    there raises `Refused` (`webhook_not_found`, `delivery_not_found`)."""

    def __init__(self, client: Callable[[], Client]):
        self._client = client

    async def create(
        self,
        url: str,
        *,
        events: Optional[Sequence[str]] = None,
        queue: Optional[str] = None,
        type: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        format: Optional[Format] = None,
        max_running: Optional[int] = None,
        description: Optional[str] = None,
        tenant: Optional[str] = None,
        secret: Optional[str] = None,
    ) -> Webhook:
        """Sets a webhook up; its `secret` is shown this once.

        `events`: of what it is told, such as `["task.failed"]`, `["task.*"]` or `["*"]`; unless said, of the ends of
        tasks. `queue`, `type`, `labels`: of tasks like these alone. `headers`: sent with every message. `max_running`:
        how many messages may be on their way at once. `tenant`: of its tasks alone. `secret`: `whsec_` and the base64
        of 24 to 64 bytes, drawn unless said. Raises `Refused`, also for a URL that the server will not call.
        """
        body = _said(locals())
        client = self._client()
        return _made(await client.apart(client.http.call("POST", "/v1/webhooks", body)))

    def create_sync(
        self,
        url: str,
        *,
        events: Optional[Sequence[str]] = None,
        queue: Optional[str] = None,
        type: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        format: Optional[Format] = None,
        max_running: Optional[int] = None,
        description: Optional[str] = None,
        tenant: Optional[str] = None,
        secret: Optional[str] = None,
    ) -> Webhook:
        """As `create`."""
        body = _said(locals())
        client = self._client()
        return _made(client.sync(client.http.call("POST", "/v1/webhooks", body)))

    async def all(self) -> list[Webhook]:
        """Every webhook, in the order in which they were set up, without their secrets."""
        client = self._client()
        return await client.apart(_all(client))

    def all_sync(self) -> list[Webhook]:
        """As `all`."""
        client = self._client()
        return client.sync(_all(client))

    async def get(self, id: str) -> Webhook:
        """One."""
        client = self._client()
        return _made(await client.apart(client.http.call("GET", _path(id))))

    def get_sync(self, id: str) -> Webhook:
        """As `get`."""
        client = self._client()
        return _made(client.sync(client.http.call("GET", _path(id))))

    async def change(
        self,
        id: str,
        *,
        url: Optional[str] = None,
        events: Optional[Sequence[str]] = None,
        queue: Optional[str] = None,
        type: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        format: Optional[Format] = None,
        max_running: Optional[int] = None,
        description: Optional[str] = None,
    ) -> Webhook:
        """Changes what is said; the rest stays. `queue`, `type` and `labels` are one: saying any of them replaces all
        three, and `labels={}` alone means every task. Raises as `create` does."""
        body = _said(locals())
        client = self._client()
        return _made(await client.apart(client.http.call("PATCH", _path(id), body)))

    def change_sync(
        self,
        id: str,
        *,
        url: Optional[str] = None,
        events: Optional[Sequence[str]] = None,
        queue: Optional[str] = None,
        type: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        format: Optional[Format] = None,
        max_running: Optional[int] = None,
        description: Optional[str] = None,
    ) -> Webhook:
        """As `change`."""
        body = _said(locals())
        client = self._client()
        return _made(client.sync(client.http.call("PATCH", _path(id), body)))

    async def remove(self, id: str) -> Webhook:
        """Removes it; what waits for it fails. What it was."""
        client = self._client()
        return _made(await client.apart(client.http.call("DELETE", _path(id))))

    def remove_sync(self, id: str) -> Webhook:
        """As `remove`."""
        client = self._client()
        return _made(client.sync(client.http.call("DELETE", _path(id))))

    async def enable(self, id: str) -> Webhook:
        """Has what waits for it sent, and what happens from now on."""
        client = self._client()
        return _made(await client.apart(client.http.call("POST", _path(id, ":enable"))))

    def enable_sync(self, id: str) -> Webhook:
        """As `enable`."""
        client = self._client()
        return _made(client.sync(client.http.call("POST", _path(id, ":enable"))))

    async def disable(self, id: str) -> Webhook:
        """Has nothing sent to it; what waits is kept for seven days."""
        client = self._client()
        return _made(await client.apart(client.http.call("POST", _path(id, ":disable"))))

    def disable_sync(self, id: str) -> Webhook:
        """As `disable`."""
        client = self._client()
        return _made(client.sync(client.http.call("POST", _path(id, ":disable"))))

    async def rotate_secret(self, id: str, overlap: Duration = "1d") -> Webhook:
        """Gives it a new secret, shown this once; the one before signs beside it for `overlap` more."""
        client = self._client()
        return _made(await client.apart(client.http.call("POST", _path(id, ":rotate-secret"), _overlap(overlap))))

    def rotate_secret_sync(self, id: str, overlap: Duration = "1d") -> Webhook:
        """As `rotate_secret`."""
        client = self._client()
        return _made(client.sync(client.http.call("POST", _path(id, ":rotate-secret"), _overlap(overlap))))

    async def test(self, id: str) -> Delivery:
        """Sends `webhook.test`, to try whether it hears. Raises `Refused`, also (`webhook_disabled`) if it is off."""
        client = self._client()
        return Delivery(await client.apart(client.http.call("POST", _path(id, ":test"))))

    def test_sync(self, id: str) -> Delivery:
        """As `test`."""
        client = self._client()
        return Delivery(client.sync(client.http.call("POST", _path(id, ":test"))))

    async def deliveries(self, id: str, state: Optional[str] = None, limit: int = 200) -> list[Delivery]:
        """The last messages to it, newest first; at most `limit`, which is at most 200. `state`: of those in this one,
        such as `failed`."""
        client = self._client()
        return _deliveries(await client.apart(client.http.call("GET", _log(id, state, limit))))

    def deliveries_sync(self, id: str, state: Optional[str] = None, limit: int = 200) -> list[Delivery]:
        """As `deliveries`."""
        client = self._client()
        return _deliveries(client.sync(client.http.call("GET", _log(id, state, limit))))

    async def redeliver(self, id: str, delivery_id: str) -> Delivery:
        """Sends a message once more, under the id by which its receiver knows it. The delivery that is on its way."""
        client = self._client()
        return Delivery(await client.apart(client.http.call("POST", _again(id, delivery_id))))

    def redeliver_sync(self, id: str, delivery_id: str) -> Delivery:
        """As `redeliver`."""
        client = self._client()
        return Delivery(client.sync(client.http.call("POST", _again(id, delivery_id))))


def _said(said: dict[str, Any]) -> bytes:
    """The JSON of what is said of a webhook: all of it where it is set up, some of it where it is changed."""
    if said.get("secret") is not None:
        key_of(said["secret"])
    whole = ("url", "format", "max_running", "description", "tenant", "secret")
    members: dict[str, Any] = {name: said.get(name) for name in whole}
    if said["events"] is not None:
        members["events"] = listed("events", said["events"])
    if said["headers"] is not None:
        members["headers"] = dict(said["headers"])
    labels = None if said["labels"] is None else dict(said["labels"])
    shown = _given({"queue": said["queue"], "type": said["type"], "labels": labels})
    return encode(_given({**members, "filter": shown or None}))


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _overlap(overlap: Duration) -> bytes:
    return encode({"overlap": text(overlap)})


def _path(id: str, rest: str = "") -> str:
    return f"/v1/webhooks/{quote(id, safe='')}{rest}"


def _log(id: str, state: Optional[str], limit: int) -> str:
    return _path(id, f"/deliveries?{urlencode(_given({'limit': limit, 'state': state}))}")


def _again(id: str, delivery_id: str) -> str:
    return _path(id, f"/deliveries/{quote(delivery_id, safe='')}:redeliver")


def _made(data: dict[str, Any]) -> Webhook:
    shown = {key: value for key, value in data.items() if key != "secret"}
    return Webhook(shown, data.get("secret"))


def _deliveries(page: dict[str, Any]) -> list[Delivery]:
    return [Delivery(it) for it in page["items"]]


async def _all(client: Client) -> list[Webhook]:
    found: list[Webhook] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.http.call("GET", f"/v1/webhooks?{urlencode({'limit': 200, **cursor})}")
        found += [_made(it) for it in page["items"]]
        if "next_cursor" not in page:
            return found
        cursor = {"cursor": page["next_cursor"]}
