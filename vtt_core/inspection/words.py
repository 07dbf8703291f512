"""Put names and numbers into sentences."""

from __future__ import annotations

from collections.abc import Sequence

NUM_NAMED = 3
"""Things that a sentence names; it counts the others."""


def listed(names: Sequence[str]) -> str:
    """Return names in quotes: all of a few, or the first ones and the number of the others."""
    quoted = [repr(name) for name in names]
    if len(quoted) > NUM_NAMED:
        quoted = [*quoted[:NUM_NAMED], f"{len(quoted) - NUM_NAMED} more"]
    return series(quoted)


def series(parts: Sequence[str]) -> str:
    """Return parts with commas and a last `and`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """Return a share in whole percent."""
    return f"{100 * share:.0f} %"
