"""Remove the metadata of a WebP without re-encoding its pixels.

Kept are the image with its alpha, the canvas, the ICC profile and the orientation.

Source: RFC 9649, section 2 (container).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.orientation import UPRIGHT, orientation_exif, read_orientation
from vtt_core.ingest.structure import check

_HAS_ICC, _HAS_ALPHA, _HAS_EXIF, _IS_ANIMATED = 0x20, 0x10, 0x08, 0x02
_PICTURE = (b"ALPH", b"VP8 ", b"VP8L")
_FRAME_HEAD_BYTES = 16


def strip_webp(encoded: bytes) -> bytes:
    """Return the WebP without metadata.

    Raises:
        UnknownStructureError: a chunk reaches past the end, or there is no image.
    """
    check(encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP", "not a WebP")
    end = min(len(encoded), 8 + int.from_bytes(encoded[4:8], "little"))
    chunks = list(_chunks(encoded, 12, end))
    check(bool(chunks), "WebP without a chunk")
    name, content = chunks[0]
    if name in (b"VP8 ", b"VP8L"):
        return _file([(name, content)])
    check(name == b"VP8X" and len(content) >= 10, "WebP with an unknown first chunk")
    return _file(_extended(chunks))


def _extended(chunks: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    first = {name: content for name, content in reversed(chunks)}
    head = first[b"VP8X"]
    profile = clean_icc(first.get(b"ICCP", b""))
    orientation = read_orientation(first.get(b"EXIF"), first.get(b"XMP "))
    flags = head[0] & (_HAS_ALPHA | _IS_ANIMATED) | (_HAS_ICC if profile else 0)
    flags |= _HAS_EXIF if orientation != UPRIGHT else 0
    kept = [(b"VP8X", bytes((flags, 0, 0, 0)) + head[4:10])]
    kept += [(b"ICCP", profile)] if profile else []
    for name, content in chunks:
        if name in _PICTURE:
            kept.append((name, content))
        elif name == b"ANIM":
            kept.append((name, content[:6]))
        elif name == b"ANMF":
            kept.append((name, _frame(content)))
    if orientation != UPRIGHT:
        kept.append((b"EXIF", orientation_exif(orientation)))
    return kept


def _frame(content: bytes) -> bytes:
    inner = [(name, part) for name, part in _chunks(content, _FRAME_HEAD_BYTES, len(content)) if name in _PICTURE]
    return content[:_FRAME_HEAD_BYTES] + b"".join(_encoded(name, part) for name, part in inner)


def _chunks(encoded: bytes, position: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while position + 8 <= end:
        length = int.from_bytes(encoded[position + 4 : position + 8], "little")
        check(position + 8 + length <= end, "chunk past the end")
        yield encoded[position : position + 4], encoded[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _encoded(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"WEBP" + b"".join(_encoded(name, content) for name, content in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body
