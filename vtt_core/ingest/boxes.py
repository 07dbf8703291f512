"""Walk the boxes of a JPEG 2000 or AVIF file: a length, four letters, and content."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAX_BOXES = 10_000
"""Boxes of one level that are looked at. A picture has about 10."""


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the name and the content of each box; what is behind a damaged one is left out."""
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > len(content):
            return
        length, name = struct.unpack_from(">I4s", content, position)
        head = 8
        if length == 1 and position + 16 <= len(content):
            (length,) = struct.unpack_from(">Q", content, position + 8)
            head = 16
        end = len(content) if length == 0 else position + length
        if end < position + head or end > len(content):
            end = len(content)
        yield name, content[position + head : end]
        position = end


def box(content: bytes, *path: bytes) -> bytes:
    """Return the content of the first box that a path of names leads to; empty where there is none."""
    for name in path:
        content = next((inner for found, inner in boxes(content) if found == name), b"")
    return content
