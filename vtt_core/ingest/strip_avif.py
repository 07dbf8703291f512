"""Remove the metadata of an AVIF in place: it is overwritten with zeros, so that no offset changes.

The primary image is kept, with its tiles and alpha. EXIF, XMP, thumbnails and all other items lose their bytes and their
kind. An AVIF has orientation properties, so no EXIF orientation is written.

Source: ISO/IEC 23008-12 (HEIF), section 6; ISO/IEC 14496-12, section 8.11.
"""

from __future__ import annotations

from collections.abc import Iterable

from vtt_core.ingest.avif_items import IDAT, ItemTable, read_items
from vtt_core.ingest.boxes import Box, read_boxes
from vtt_core.ingest.structure import check

_KEPT_TOP, _KEPT_META = (b"ftyp", b"meta", b"mdat"), (b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat")
_KEPT_PROPERTIES = frozenset(
    b"ispe pixi av1C colr irot imir pasp clap auxC clli mdcv cclv amve a1op a1lx lsel ndwt reve".split()  # noqa: SIM905
)
_FREE = b"free"
_MAX_BRANDS_BYTES = 64
_HANDLER_NAME = 24
"""Offset of the name in the content of the handler box."""


def strip_avif(encoded: bytes) -> bytes:
    """Return the AVIF without metadata. Zeros take the place of what is removed.

    Raises:
        UnknownStructureError: it is an image sequence, or a box is malformed.
    """
    boxes = list(read_boxes(encoded, 0, len(encoded)))
    kinds = [box.kind for box in boxes]
    check(kinds[:1] == [b"ftyp"] and kinds.count(b"meta") == 1 and b"moov" not in kinds, "not a still AVIF")
    check(boxes[0].end - boxes[0].body <= _MAX_BRANDS_BYTES, "too many brands")
    content = bytearray(encoded)
    meta = boxes[kinds.index(b"meta")]
    parts = list(read_boxes(encoded, meta.body + 4, meta.end))
    items = read_items(encoded, parts)
    for box in [box for box in boxes if box.kind not in _KEPT_TOP] + [part for part in parts if part.kind not in _KEPT_META]:
        _free(content, box)
    for box in [box for box in boxes if box.kind == b"mdat"]:
        _keep_only(content, box, items.extents(0))
    for part in parts:
        _clean_part(content, part, items)
    last = max(box.end for box in boxes if box.kind in _KEPT_TOP)
    return bytes(content[:last])


def _clean_part(content: bytearray, part: Box, items: ItemTable) -> None:
    if part.kind == b"hdlr":
        _zero(content, min(part.body + _HANDLER_NAME, part.end), part.end)
    elif part.kind == IDAT:
        _keep_only(content, part, [(part.body + start, part.body + end) for start, end in items.extents(1)])
    elif part.kind == b"iprp":
        for inner in read_boxes(content, part.body, part.end):
            properties = list(read_boxes(content, inner.body, inner.end)) if inner.kind == b"ipco" else []
            for one in properties:
                if one.kind not in _KEPT_PROPERTIES:
                    _free(content, one)
    for entry in items.entries if part.kind == b"iinf" else ():
        _zero(content, entry.strings, entry.box.end)
        if entry.item_id not in items.needed:
            content[entry.strings - 4 : entry.strings] = _FREE


def _keep_only(content: bytearray, box: Box, ranges: Iterable[tuple[int, int]]) -> None:
    """Overwrite everything outside the ranges with zeros."""
    position = box.body
    for start, end in sorted(ranges):
        if end <= box.body or start >= box.end:
            continue
        if start > position:
            _zero(content, position, start)
        position = max(position, min(end, box.end))
    _zero(content, position, box.end)


def _free(content: bytearray, box: Box) -> None:
    content[box.start + 4 : box.start + 8] = _FREE
    _zero(content, box.body, box.end)


def _zero(content: bytearray, start: int, end: int) -> None:
    content[start:end] = bytes(end - start)
