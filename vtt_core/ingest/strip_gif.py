"""Remove comments, texts and application data from a GIF. Only its first image is kept.

Source: GIF89a specification, sections 18 to 26.
"""

from __future__ import annotations

import re

from vtt_core.ingest.structure import check

_EXTENSION, _PICTURE, _TRAILER, _GRAPHIC_CONTROL = 0x21, 0x2C, 0x3B, 0xF9
_NEXT_BLOCK = re.compile(rb"[!,;]")
_HEAD_BYTES, _DESCRIPTOR_BYTES = 13, 10


def strip_gif(encoded: bytes) -> bytes:
    """Return the GIF with its first image only.

    Raises:
        UnknownStructureError: there is no image, or it reaches past the end.
    """
    check(encoded[:6] in (b"GIF87a", b"GIF89a") and len(encoded) >= _HEAD_BYTES, "not a GIF")
    position = _HEAD_BYTES + _palette_bytes(encoded[10])
    control = b""
    while (found := _NEXT_BLOCK.search(encoded, position)) is not None:
        position = found.start()
        if encoded[position] == _TRAILER:
            break
        if encoded[position] == _PICTURE:
            start, data_start = position, position + _DESCRIPTOR_BYTES
            check(data_start < len(encoded), "image past the end")
            data_start += _palette_bytes(encoded[position + 9]) + 1
            end = _end_of_blocks(encoded, data_start)
            return encoded[: _HEAD_BYTES + _palette_bytes(encoded[10])] + control + encoded[start:end] + b";"
        label, end = encoded[position + 1 : position + 2], _end_of_blocks(encoded, position + 2)
        if label == bytes((_GRAPHIC_CONTROL,)) and encoded[position + 2 : position + 3] == b"\4":
            control = encoded[position : position + 7] + b"\0"
        position = end
    check(False, "GIF without an image")
    return b""


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_blocks(encoded: bytes, position: int) -> int:
    """Return the offset after the sub-blocks that start here."""
    while position < len(encoded) and encoded[position]:
        position += encoded[position] + 1
    check(position < len(encoded), "blocks past the end")
    return position + 1
