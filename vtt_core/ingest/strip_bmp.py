"""Reduce a BMP to its header, palette, pixels and embedded profile.

Run-length coded BMPs are not supported.

Source: Microsoft, "Bitmap Header Types" (BITMAPCOREHEADER to BITMAPV5HEADER).
"""

from __future__ import annotations

import struct

from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.structure import check

_FILE_HEAD_BYTES = 14
_CORE, _INFO, _OS2, _V5 = 12, 40, 64, 124
_SIZES = (_CORE, _INFO, 52, 56, _OS2, 108, _V5)
_PLAIN, _BITFIELDS = 0, 3
_EMBEDDED = b"DEBM"
_SRGB = b"BGRs"
_AT_COLOUR_SPACE, _AT_PROFILE = 56, 112
"""Offsets in a version 5 header."""


def strip_bmp(encoded: bytes) -> bytes:
    """Return the BMP without gaps, trailing bytes and the path of a linked profile.

    Raises:
        UnknownStructureError: its header has an unknown size, it is compressed, or the pixels end early.
    """
    check(encoded[:2] == b"BM" and len(encoded) >= _FILE_HEAD_BYTES + _CORE, "not a BMP")
    (offset, size) = struct.unpack_from("<II", encoded, 10)
    header = encoded[_FILE_HEAD_BYTES : _FILE_HEAD_BYTES + size]
    check(size in _SIZES and len(header) == size, "header of an unknown size")
    width, height, bits, compression, num_colours = _geometry(header)
    check(compression in (_PLAIN, _BITFIELDS), "compressed BMP")
    num_masks = 3 if size == _INFO and compression == _BITFIELDS else 0
    start = _FILE_HEAD_BYTES + size
    masks, start = encoded[start : start + 4 * num_masks], start + 4 * num_masks
    palette = encoded[start : start + num_colours * (3 if size == _CORE else 4)] if bits <= 8 else b""
    if bits <= 8 and offset == _FILE_HEAD_BYTES + size:  # like Pillow: this offset means the end of the palette
        offset += len(palette)
    pixels_end = offset + (width * bits + 31 >> 3 & ~3) * height
    check(offset >= _FILE_HEAD_BYTES + size and 0 < pixels_end <= len(encoded), "pixels past the end")
    pixels = encoded[offset:pixels_end]
    header, profile = _clean_header(header, encoded, len(masks + palette + pixels), num_colours if bits <= 8 else 0)
    new_offset = _FILE_HEAD_BYTES + size + len(masks) + len(palette)
    num_bytes = new_offset + len(pixels) + len(profile)
    return struct.pack("<2sIII", b"BM", num_bytes, 0, new_offset) + header + masks + palette + pixels + profile


def _geometry(header: bytes) -> tuple[int, int, int, int, int]:
    """Return width, rows, bits a pixel, compression and number of palette colours."""
    if len(header) == _CORE:
        width, height, bits = struct.unpack_from("<HH2xH", header, 4)
        compression = stated = 0
    else:
        width, height, bits, compression = struct.unpack_from("<Ii2xHI", header, 4)
        (stated,) = struct.unpack_from("<I", header, 32)
    check(bits in (1, 2, 4, 8, 16, 24, 32), "unknown depth")
    return width, abs(height), bits, compression, stated or 1 << min(bits, 8)


def _clean_header(header: bytes, encoded: bytes, pixels_bytes: int, num_colours: int) -> tuple[bytes, bytes]:
    """Return the header without fields that no decoder needs, and the embedded profile."""
    clean = bytearray(header)
    check(num_colours <= 256, "palette with too many colours")
    if len(header) == _OS2:
        clean[_INFO:] = bytes(_OS2 - _INFO)
    if len(header) != _V5:
        return bytes(clean), b""
    at, num_bytes = struct.unpack_from("<II", header, _AT_PROFILE)
    is_embedded = header[_AT_COLOUR_SPACE : _AT_COLOUR_SPACE + 4] == _EMBEDDED
    profile = clean_icc(encoded[_FILE_HEAD_BYTES + at : _FILE_HEAD_BYTES + at + num_bytes]) if is_embedded else b""
    clean[_AT_PROFILE:] = struct.pack("<III", len(header) + pixels_bytes if profile else 0, len(profile), 0)
    if not profile and header[_AT_COLOUR_SPACE : _AT_COLOUR_SPACE + 4] in (_EMBEDDED, b"KNIL"):
        clean[_AT_COLOUR_SPACE : _AT_COLOUR_SPACE + 4] = _SRGB
    return bytes(clean), profile
