"""Walk the boxes of JPEG 2000 and AVIF files: a length, four letters, and content.

`read_boxes` is strict, for code that rewrites a file. `boxes` is lenient, for code that only looks something up and leaves
damage to the decoder.

Source: ISO/IEC 14496-12, section 4.2; ISO/IEC 15444-1, annex I.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vtt_core.ingest.structure import check

MAX_BOXES = 10_000
"""Most boxes that are read on one level. An image has about 10."""


@dataclass(frozen=True)
class Box:
    """The place of one box."""

    kind: bytes
    start: int
    body: int
    """Offset of its content."""
    end: int


def read_boxes(encoded: bytes | bytearray, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets.

    Raises:
        UnknownStructureError: a box reaches past the end, or some bytes are not a box.
    """
    while start < end:
        check(start + 8 <= end, "bytes that are not a box")
        length, body = int.from_bytes(encoded[start : start + 4], "big"), start + 8
        kind = bytes(encoded[start + 4 : body])
        if length == 1:
            length, body = int.from_bytes(encoded[body : body + 8], "big"), body + 8
        elif length == 0:  # up to the end
            length = end - start
        check(body <= start + length <= end, "box past the end")
        yield Box(kind, start, body, start + length)
        start += length


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and content of each box. A box that reaches past the end takes the rest."""
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
    """Return the content of the first box at a path of names, or nothing if there is none."""
    for name in path:
        content = next((inner for found, inner in boxes(content) if found == name), b"")
    return content
