"""The error of a file whose structure is unknown. Removing metadata must be strict where a decoder may be lenient."""

from __future__ import annotations


class UnknownStructureError(ValueError):
    """The bytes cannot be parsed safely. The caller stores a PNG of the pixels instead."""


def check(is_known: bool, what: str) -> None:
    """Raise UnknownStructureError unless the condition holds.

    Args:
        is_known: the condition.
        what: what is wrong, for debugging.
    """
    if not is_known:
        raise UnknownStructureError(what)
