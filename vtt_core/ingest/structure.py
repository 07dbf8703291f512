"""Say that a file is not built as its format asks, which a stripper of metadata must know and a decoder may forgive."""

from __future__ import annotations


class UnknownStructureError(ValueError):
    """The bytes cannot be taken apart safely; the caller stores a PNG of the pixels instead."""


def check(is_known: bool, what: str) -> None:
    """Raise UnknownStructureError unless the fact holds.

    Args:
        is_known: the fact.
        what: what was found, for whoever debugs.
    """
    if not is_known:
        raise UnknownStructureError(what)
