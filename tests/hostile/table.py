"""What a hostile file is, and what is to become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Hostile:
    """One file that somebody might send to do harm, or by mistake."""

    name: str
    build: Callable[[], bytes]
    outcome: str
    """`accepted`, the code of the error, or for an archive what becomes of its entries: `1 kept, archive.unsafe_path`."""
    kind: Literal["image", "archive"] = "image"
