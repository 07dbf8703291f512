"""Remove the metadata of a JPEG 2000 file or codestream without re-encoding its pixels.

Kept are the boxes about colours, and those segments of the codestream that decoding needs. Segments with the lengths of tile
parts and packets are removed: they only speed up access, and would be wrong.

Source: ISO/IEC 15444-1, annexes A and I.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vtt_core.ingest.boxes import read_boxes
from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.jpeg2000 import FILE_SIGNATURE, START_OF_CODESTREAM
from vtt_core.ingest.structure import check

_COLOUR_BOXES = (b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef")
_MAX_COLOUR_BYTES, _MAX_BRANDS_BYTES = 64, 64
_TILE, _DATA, _END = 0x90, 0x93, 0xD9
_KEPT_SEGMENTS = frozenset({0x50, 0x51, 0x52, 0x53, 0x59, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61, 0x63})
"""CAP SIZ COD COC CPF QCD QCC RGN POC PPM PPT CRG. Not COM, and not TLM PLM PLT."""
_TILE_HEAD_BYTES = 12


def strip_jpeg2000(encoded: bytes) -> bytes:
    """Return the file or codestream without metadata.

    Raises:
        UnknownStructureError: there is no codestream, or a part reaches past the end.
    """
    if encoded.startswith(START_OF_CODESTREAM):
        return _strip_codestream(encoded)
    check(encoded.startswith(FILE_SIGNATURE), "not a JPEG 2000")
    kept = {b"ftyp": b"", b"jp2h": b"", b"jp2c": b""}
    for box in read_boxes(encoded, len(FILE_SIGNATURE), len(encoded)):
        body = encoded[box.body : box.end]
        if box.kind == b"ftyp":
            kept[box.kind] = body[:_MAX_BRANDS_BYTES]
        elif box.kind == b"jp2h":
            kept[box.kind] = _strip_header(body)
        elif box.kind == b"jp2c":
            kept[box.kind] = _strip_codestream(body)
            break
    check(all(kept.values()), "JPEG 2000 file without header or codestream")
    return FILE_SIGNATURE + b"".join(_box(kind, body) for kind, body in kept.items())


def _strip_header(header: bytes) -> bytes:
    parts = []
    for box in read_boxes(header, 0, len(header)):
        body = header[box.body : box.end]
        if box.kind == b"colr":
            body = _clean_colour(body)
        if box.kind in _COLOUR_BOXES and body:
            parts.append(_box(box.kind, body))
    return b"".join(parts)


def _clean_colour(body: bytes) -> bytes:
    """Return a colour box with a code number or a profile, or nothing for a vendor's own kind."""
    if body[:1] == b"\1":
        return body[:_MAX_COLOUR_BYTES]
    profile = clean_icc(body[3:]) if body[:1] in (b"\2", b"\3") else b""
    return body[:3] + profile if profile else b""


def _strip_codestream(encoded: bytes) -> bytes:
    check(encoded.startswith(START_OF_CODESTREAM), "no codestream")
    parts = [encoded[:2]]
    head, position = _kept_segments(encoded, 2, _TILE)
    parts.append(head)
    while encoded[position : position + 2] == bytes((0xFF, _TILE)):
        part, position = _tile_part(encoded, position)
        parts.append(part)
    return b"".join([*parts, bytes((0xFF, _END))])


def _tile_part(encoded: bytes, position: int) -> tuple[bytes, int]:
    """Return one tile part with its length corrected, and the offset after it."""
    check(position + _TILE_HEAD_BYTES <= len(encoded), "tile past the end")
    (length,) = struct.unpack_from(">I", encoded, position + 6)
    end = position + length
    if length == 0:  # the last one, up to the end marker
        end = len(encoded) - 2 if encoded.endswith(bytes((0xFF, _END))) else len(encoded)
    segments, data = _kept_segments(encoded, position + _TILE_HEAD_BYTES, _DATA)
    check(data + 2 <= end <= len(encoded), "tile past the end")
    body = segments + encoded[data:end]
    head = encoded[position : position + 6] + struct.pack(">I", _TILE_HEAD_BYTES + len(body))
    return head + encoded[position + 10 : position + _TILE_HEAD_BYTES] + body, end


def _kept_segments(encoded: bytes, position: int, until: int) -> tuple[bytes, int]:
    """Return the segments that decoding needs, and the offset of the marker that ends them."""
    kept = []
    for marker, start, end in _segments(encoded, position, until):
        position = end
        if marker in _KEPT_SEGMENTS:
            kept.append(encoded[start:end])
    return b"".join(kept), position


def _segments(encoded: bytes, position: int, until: int) -> Iterator[tuple[int, int, int]]:
    while True:
        check(position + 4 <= len(encoded) and encoded[position] == 0xFF, "no segment")
        marker = encoded[position + 1]
        if marker == until:
            return
        end = position + 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
        check(position + 4 <= end <= len(encoded), "segment past the end")
        yield marker, position, end
        position = end


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body
