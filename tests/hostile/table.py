"""A hostile file and its expected outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Hostile:
    """One file that may be sent to do harm, or by mistake."""

    name: str
    build: Callable[[], bytes]
    outcome: str
    """`accepted`, an error code, or for an archive the outcome of its entries, such as `1 kept, archive.unsafe_path`."""
    kind: Literal["image", "archive"] = "image"
