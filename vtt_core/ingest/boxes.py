"""Walk the boxes of a file of the ISO family, JPEG 2000 and AVIF: a length, four letters, and content.

`read_boxes` serves those who write a file anew, and refuses what is not built as it should be. `boxes` serves those who look
something up beside the decoder, and makes the best of a damaged file.

Source: ISO/IEC 14496-12, section 4.2; ISO/IEC 15444-1, annex I.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vtt_core.ingest.structure import check

MAX_BOXES = 10_000
"""Boxes of one level that are looked at. A picture has about 10."""


@dataclass(frozen=True)
class Box:
    """Where one box lies."""

    kind: bytes
    start: int
    body: int
    """Behind its length and kind."""
    end: int


def read_boxes(encoded: bytes | bytearray, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two places, one behind the other.

    Raises:
        UnknownStructureError: one reaches beyond the end, or there are bytes that are no box.
    """
    while start < end:
        check(start + 8 <= end, "bytes that are no box")
        length, body = int.from_bytes(encoded[start : start + 4], "big"), start + 8
        kind = bytes(encoded[start + 4 : body])
        if length == 1:
            length, body = int.from_bytes(encoded[body : body + 8], "big"), body + 8
        elif length == 0:  # up to the end
            length = end - start
        check(body <= start + length <= end, "a box beyond the end")
        yield Box(kind, start, body, start + length)
        start += length


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
