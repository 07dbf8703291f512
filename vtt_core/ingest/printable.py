"""Make a path fit to be shown."""

from __future__ import annotations


def is_text(name: str) -> bool:
    """Tell whether every character of a name is known; bytes of an unknown encoding stand in it as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def printable(path: str) -> str:
    """Return the path with a replacement character for each byte whose character is unknown."""
    return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= character <= "\udfff" else character for character in path)
