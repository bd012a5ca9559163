"""JSON as the reports carry it."""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode

CUT = "… [cut]"


def dumps(value: Any) -> str:
    """`value` as JSON. Raises `TypeError` or `ValueError` where it is none (half characters included)."""
    text = _encode(value)
    if not text.isascii():
        text.encode("utf-8")
    return text


def repaired(value: Any) -> str:
    """`value` for people as JSON: half characters are replaced. Raises `TypeError` or `ValueError` where it is none."""
    return _encode(value).encode("utf-8", "replace").decode("utf-8")


def quoted(text: str, most: int) -> str:
    """Text of people as a JSON string: cut, and with half characters replaced."""
    if len(text) > most:
        text = text[: most - len(CUT)] + CUT
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
        while len(text.encode("utf-8")) > most:
            text = text[: len(text) * 3 // 4] + CUT
    return _encode(text)
