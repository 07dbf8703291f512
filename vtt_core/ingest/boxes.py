"""Walk the boxes of a file of the ISO family: JPEG 2000 and AVIF.

Source: ISO/IEC 14496-12, section 4.2; ISO/IEC 15444-1, annex I.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vtt_core.ingest.structure import check


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
