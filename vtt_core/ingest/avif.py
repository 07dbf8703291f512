"""Read the colour space of an AVIF from its header."""

from __future__ import annotations

import struct

from vtt_core.ingest.boxes import box, boxes
from vtt_core.ingest.coded_colours import CodedColours


def is_avif(encoded: bytes) -> bool:
    """Return whether the bytes start like an AVIF."""
    brands = encoded[8:64]
    return encoded[4:8] == b"ftyp" and (b"avif" in brands or b"avis" in brands)


def coded_colours(encoded: bytes) -> CodedColours | None:
    """Return the colour space of the primary image, if the file gives it as code numbers."""
    meta = box(encoded, b"meta")[4:]
    properties = list(boxes(box(meta, b"iprp", b"ipco")))
    primary = _primary_item(box(meta, b"pitm"))
    try:
        indices = _associated(box(meta, b"iprp", b"ipma"), primary)
    except (IndexError, struct.error):  # libavif will refuse the file
        return None
    for index in indices:
        name, content = properties[index - 1] if 0 < index <= len(properties) else (b"", b"")
        if name == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            return CodedColours(*struct.unpack_from(">HH", content, 4))
    return None


def _primary_item(content: bytes) -> int:
    return int.from_bytes(content[4 : 8 if content[:1] == b"\1" else 6], "big")


def _associated(content: bytes, item: int) -> list[int]:
    """Return the indices of an item's properties, counted from 1."""
    if len(content) < 8:
        return []
    version, is_wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, 4)
    position = 8
    for _ in range(min(count, len(content))):
        (found,) = struct.unpack_from(">I" if version else ">H", content, position)
        position += 4 if version else 2
        num_properties, position = content[position], position + 1
        entry_bytes = 2 if is_wide else 1
        mask = 0x7FFF if is_wide else 0x7F
        numbers = content[position : position + num_properties * entry_bytes]
        position += num_properties * entry_bytes
        if found == item:
            return [int.from_bytes(numbers[at : at + entry_bytes], "big") & mask for at in range(0, len(numbers), entry_bytes)]
    return []
