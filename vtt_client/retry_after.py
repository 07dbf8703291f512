"""Read how long an answer asks to wait.

Source: RFC 9110, section 10.2.3 (`Retry-After`): seconds, or a date.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2


def asked_seconds(answer: httpx2.Response) -> float | None:
    """Return the seconds that `Retry-After` asks for; None where it is missing or says neither seconds nor a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def in_words(seconds: float) -> str:
    """Return a time in the largest unit of which there are two, such as `90 s`, `45 minutes` or `3 days`."""
    if not math.isfinite(seconds):
        return "without end"
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
