"""Name the kinds of JPEG that are not read."""

from __future__ import annotations

import re

_NEXT_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])", re.DOTALL)
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


def unread_jpeg_kind(encoded: bytes) -> str | None:
    """Return what kind of JPEG it is, where that explains why it is not read; None for the usual kind."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.search(encoded, position)
        if found is None:
            return None
        marker, position = found[1][0], found.end()
        if marker in _FRAMES:
            return _FRAMES[marker]
        if marker in _USUAL_FRAMES:
            bits = encoded[position + 2] if position + 2 < len(encoded) else 8
            return None if bits == 8 else f"a JPEG of {bits} bits"
        position += int.from_bytes(encoded[position : position + 2], "big")
    return None
