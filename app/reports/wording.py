"""Write numbers as a report says them."""

from __future__ import annotations

import unicodedata

from app.reports.metrics import Accuracy


def percent(share: float) -> str:
    """Return a share as per cent, with one decimal."""
    return f"{100 * share:.1f} %"


def span(accuracy: Accuracy) -> str:
    """Return the ends of an interval."""
    return f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f} %"


def printable(text: str) -> str:
    """Return the text with a replacement character for each control character and each half of a surrogate pair.

    HTML cannot hold them, and the names of files can.
    """
    return "".join("\ufffd" if unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\n" else letter for letter in text)
