"""Whether a message that came to a webhook is to be believed, as Standard Webhooks 1.0 says."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Union

from .duration import Duration, seconds
from .errors import SignatureError

TOLERANCE = 300
"""How far clocks may be apart, and how old a message may be, in seconds, as is customary."""

_PREFIX = "whsec_"
_SECOND = re.compile(r"[0-9]{1,15}")


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: Union[bytes, str], *, tolerance: Duration = TOLERANCE
) -> dict[str, Any]:
    """The JSON of a message, if it was sent by who knows `secret`, unchanged, and about now.

    `headers` are those of the request, `body` are its bytes as they came: JSON that is read and written again is other
    bytes. `tolerance`: how old it may be, and how far its sender's clock may be ahead. What is believed may have been
    heard before: the header `webhook-id` is the same whenever a message comes again.

    Raises `SignatureError` for what is not to be believed, `ValueError` for a secret that is none.
    """
    key = key_of(secret)
    id, sent, signatures = (_header(headers, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature"))
    if not _SECOND.fullmatch(sent):
        raise _malformed("webhook-timestamp", "is no number of seconds")
    _is_in_time(int(time.time()) - int(sent), seconds(tolerance))
    data = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
    digest = hmac.new(key, f"{id}.{sent}.".encode("ascii") + data, "sha256").digest()
    right = b"v1," + base64.b64encode(digest)
    # Each is looked at, so that the time it takes tells nothing; versions that are not known are never right.
    if not sum(hmac.compare_digest(it.encode("ascii"), right) for it in signatures.split(" ")):
        raise SignatureError(
            "wrong",
            "no signature is right: another secret signed this, or it was changed on its way; take the secret of this "
            "very webhook, and the bytes of the body as they came",
        )
    return _read(data)


def key_of(secret: str) -> bytes:
    """The bytes of a secret. Raises `ValueError`, without its text, for one that is none."""
    encoded = secret[len(_PREFIX) :] if secret.startswith(_PREFIX) else ""
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    # Python takes what other libraries refuse: one text, one secret.
    if not 24 <= len(key) <= 64 or base64.b64encode(key).decode("ascii") != encoded:
        raise ValueError("this is no secret of a webhook; one is written as whsec_ and the base64 of 24 to 64 bytes")
    return key


def _header(headers: Mapping[str, str], name: str) -> str:
    found = [value for key, value in headers.items() if key.lower() == name]
    if len(found) == 1 and found[0] and found[0].isascii():
        return found[0]
    why = "is missing" if not found else "makes no sense" if len(found) == 1 else "is there twice"
    raise _malformed(name, why)


def _malformed(name: str, why: str) -> SignatureError:
    hint = "; a task's callback is signed only if it has a secret" if name == "webhook-signature" else ""
    return SignatureError("malformed", f"the header {name} {why}; pass all headers of the request as they came{hint}")


def _is_in_time(age: int, tolerance: float) -> None:
    if abs(age) <= tolerance:
        return
    off = f"was sent {age} s ago" if age > 0 else f"is sent {-age} s from now"
    raise SignatureError(
        "out_of_time",
        f"the message {off}, and {tolerance:g} s are tolerated: it may be a repetition by somebody else; if all are "
        "refused, set the clocks of this machine and of the server right",
    )


def _read(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SignatureError("malformed", "the body is signed but no JSON object; no Tasklane server sent this")
    return value
