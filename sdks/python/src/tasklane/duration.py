"""Durations: a number of seconds, a `timedelta`, or a text as on the wire (`"90s"`, `"250ms"`, `"1h30m"`)."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Union

Duration = Union[int, float, timedelta, str]
"""Seconds as a number, a `timedelta`, or a text of whole numbers with the units d, h, m, s, ms, the greater first."""

LONGEST = 3660 * 86_400.0
"""The longest duration the server takes, in seconds."""

# Whole numbers without leading zeros, each unit at most once, the greater first: what the server's own parser takes.
_N = r"(0|[1-9]\d*)"
_TEXT = re.compile(rf"(?:{_N}d)?(?:{_N}h)?(?:{_N}m)?(?:{_N}s)?(?:{_N}ms)?", re.ASCII)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)


def seconds(value: Duration) -> float:
    """`value` in seconds.

    Raises `ValueError` for what is negative, not finite, too long or an odd text, `TypeError` for another type.
    """
    if isinstance(value, bool):
        raise TypeError("a duration is a number of seconds, a timedelta or a text, not a bool")
    if isinstance(value, (int, float)):
        number = float(value)
    elif isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, str):
        number = _read(value)
    else:
        raise TypeError(f"a duration is a number of seconds, a timedelta or a text, not {type(value).__name__}")
    if not math.isfinite(number) or number < 0 or number > LONGEST:
        raise ValueError(f"a duration is from 0 seconds to 3660 days, not {value!r}")
    return number


def _read(value: str) -> float:
    found = _TEXT.fullmatch(value)
    if not value or not found:
        raise ValueError(f'{value!r} is no duration; write it like "90s", "5m", "250ms" or "1h30m"')
    return sum(int(number) * unit for number, unit in zip(found.groups(), _UNITS) if number)


def text(value: Duration) -> str:
    """`value` as the wire has it, in whole milliseconds, rounded up: a wait is never shorter than asked for."""
    millis = math.ceil(round(seconds(value) * 1000, 6))
    return f"{millis // 1000}s" if millis % 1000 == 0 else f"{millis}ms"
