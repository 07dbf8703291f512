"""Walk the segments of a JPEG, and name the unsupported kinds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

_NEXT_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
_WITHOUT_LENGTH, _END_OF_IMAGE = 0x01, 0xD9
_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xC9: "an arithmetic-coded JPEG",
    0xCA: "an arithmetic-coded JPEG",
    0xCB: "an arithmetic-coded lossless JPEG",
    0xF7: "a JPEG-LS picture",
}
_USUAL_FRAMES = (0xC0, 0xC1, 0xC2)
_MAX_SEGMENTS = 20_000


def jpeg_segments(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker and the content's offset of every segment, as libjpeg finds them.

    Markers inside a segment or after the end of the image do not count.
    """
    position = 2
    while (found := _NEXT_MARKER.search(encoded, position)) is not None:
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return
        if marker != _WITHOUT_LENGTH:
            yield marker, position
            position += int.from_bytes(encoded[position : position + 2], "big")


def unread_jpeg_kind(encoded: bytes) -> str | None:
    """Return the kind of JPEG if it is an unsupported one, else None."""
    for marker, position in islice(jpeg_segments(encoded), _MAX_SEGMENTS):
        if marker in _FRAMES:
            return _FRAMES[marker]
        if marker in _USUAL_FRAMES:
            bits = encoded[position + 2] if position + 2 < len(encoded) else 8
            return None if bits == 8 else f"a JPEG of {bits} bits"
    return None
