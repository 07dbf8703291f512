"""Make a path safe to show."""

from __future__ import annotations


def is_text(name: str) -> bool:
    """Tell whether every character of a name is known. Bytes of an unknown encoding are lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def printable(path: str) -> str:
    """Return the path with a replacement character for each unknown byte."""
    return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= character <= "\udfff" else character for character in path)
