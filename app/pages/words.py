"""Say numbers and times as people do."""

from __future__ import annotations

import re
from datetime import datetime

from markupsafe import Markup

from app.pages.texts import text

STEPS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))
"""Seconds in each unit, and the key of its text."""
WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[_/-])(?=.)")
"""Where a name that has no spaces may be broken."""


def duration(seconds: float) -> str:
    """Return a time in its largest unit, such as `3 minutes`."""
    for size, unit in STEPS:
        if seconds >= 0.95 * size:
            return text(f"words.{unit}", n=round(seconds / size))
    return text("words.seconds", n=max(1, round(seconds)))


def ago(when: datetime, now: datetime) -> str:
    """Return how long ago something was, such as `3 minutes ago`."""
    seconds = (now - when).total_seconds()
    return text("words.just_now") if seconds < 10 else text("words.ago", time=duration(seconds))


def percent(share: float) -> str:
    """Return a share as a percentage without decimals, such as `85 %`."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def half_width(share: float) -> str:
    """Return half the width of an interval in points, such as `± 6`."""
    return f"±\N{NO-BREAK SPACE}{100 * share:.0f}"


def file_size(num_bytes: int) -> str:
    """Return a size, such as `1.2 MB`."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f}\N{NO-BREAK SPACE}{unit}"
    return f"{num_bytes}\N{NO-BREAK SPACE}B"


def breakable(name: str) -> Markup:
    """Return a name as HTML that may go on in a new line between its words, as in `Permanent|Crop` and `leaf_|blight`."""
    return Markup("<wbr>").join(WORD_ENDS.split(name))
