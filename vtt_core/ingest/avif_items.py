"""Read the items of an AVIF, where their bytes are, and which of them the image needs.

Source: ISO/IEC 14496-12, sections 8.11.3 (iloc), 8.11.4 (pitm), 8.11.6 (iinf), 8.11.12 (iref).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtt_core.ingest.boxes import Box, read_boxes
from vtt_core.ingest.structure import check

IDAT = b"idat"
_PICTURES = (b"av01", b"grid", b"iden", b"iovl")
_MAX_ITEMS = 10_000


@dataclass(frozen=True)
class ItemEntry:
    """One row of the item table."""

    item_id: int
    kind: bytes
    box: Box
    strings: int
    """Offset of its strings, which follow its kind."""


@dataclass(frozen=True)
class Extent:
    """A range of bytes that belongs to an item."""

    item_id: int
    method: int
    """What the offsets count from: 0 the file, 1 the box `idat`."""
    start: int
    end: int


@dataclass(frozen=True)
class ItemTable:
    """All items of a file."""

    entries: list[ItemEntry]
    needed: frozenset[int]
    """Ids of the items that make up the image."""
    places: list[Extent]

    def extents(self, method: int) -> list[tuple[int, int]]:
        """Return the byte ranges of the needed items, in the file (0) or in `idat` (1)."""
        return [(one.start, one.end) for one in self.places if one.item_id in self.needed and one.method == method]


class _Reader:
    """Reads big-endian numbers in sequence."""

    def __init__(self, encoded: bytes, position: int, end: int) -> None:
        self._encoded, self.position, self._end = encoded, position, end

    def number(self, num_bytes: int) -> int:
        check(self.position + num_bytes <= self._end, "number past the end of its box")
        value = int.from_bytes(self._encoded[self.position : self.position + num_bytes], "big")
        self.position += num_bytes
        return value

    def version(self) -> int:
        return self.number(4) >> 24


def read_items(encoded: bytes, parts: Sequence[Box]) -> ItemTable:
    """Return the items that the parts of a `meta` box describe.

    Raises:
        UnknownStructureError: a part is missing or malformed.
    """
    by_kind = {part.kind: part for part in reversed(parts)}
    check(all(kind in by_kind for kind in (b"pitm", b"iloc", b"iinf")), "no item table")
    entries = _entries(encoded, by_kind[b"iinf"])
    links = _links(encoded, by_kind[b"iref"]) if b"iref" in by_kind else []
    needed = _needed(_primary(encoded, by_kind[b"pitm"]), links)
    pictures = {entry.item_id for entry in entries if entry.kind in _PICTURES}
    return ItemTable(entries, frozenset(needed & pictures), _places(encoded, by_kind[b"iloc"]))


def _primary(encoded: bytes, part: Box) -> int:
    reader = _Reader(encoded, part.body, part.end)
    return reader.number(2 if reader.version() == 0 else 4)


def _entries(encoded: bytes, part: Box) -> list[ItemEntry]:
    reader = _Reader(encoded, part.body, part.end)
    reader.number(2 if reader.version() == 0 else 4)
    entries = []
    for box in read_boxes(encoded, reader.position, part.end):
        inner = _Reader(encoded, box.body, box.end)
        version = inner.version()
        check(box.kind == b"infe" and version in (2, 3), "item entry of an old version")
        item_id = inner.number(2 if version == 2 else 4)
        inner.number(2)
        kind = inner.number(4).to_bytes(4, "big")
        entries.append(ItemEntry(item_id, kind, box, inner.position))
        check(len(entries) <= _MAX_ITEMS, "too many items")
    return entries


def _links(encoded: bytes, part: Box) -> list[tuple[bytes, int, list[int]]]:
    """Return (kind, from, to) of every reference."""
    reader = _Reader(encoded, part.body, part.end)
    num_bytes = 2 if reader.version() == 0 else 4
    links = []
    for box in read_boxes(encoded, reader.position, part.end):
        inner = _Reader(encoded, box.body, box.end)
        source, count = inner.number(num_bytes), inner.number(2)
        links.append((box.kind, source, [inner.number(num_bytes) for _ in range(count)]))
        check(len(links) <= _MAX_ITEMS, "too many references")
    return links


def _needed(primary: int, links: list[tuple[bytes, int, list[int]]]) -> set[int]:
    """Return the primary image with its tiles, its alpha and the alpha's tiles."""
    tiles = {source: targets for kind, source, targets in links if kind == b"dimg"}
    needed = {primary, *tiles.get(primary, [])}
    alphas = {source for kind, source, targets in links if kind == b"auxl" and not needed.isdisjoint(targets)}
    return needed | alphas | {tile for alpha in alphas for tile in tiles.get(alpha, [])}


def _places(encoded: bytes, part: Box) -> list[Extent]:
    reader = _Reader(encoded, part.body, part.end)
    version = reader.version()
    sizes = reader.number(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    places: list[Extent] = []
    for _ in range(reader.number(2 if version < 2 else 4)):
        item_id = reader.number(2 if version < 2 else 4)
        method = reader.number(2) & 15 if version else 0
        check(method in (0, 1) and reader.number(2) == 0, "extent in another file or item")
        base = reader.number(base_bytes)
        for _ in range(reader.number(2)):
            reader.number(index_bytes)
            start = base + reader.number(offset_bytes)
            length = reader.number(length_bytes)
            check(length > 0, "extent without a length")
            places.append(Extent(item_id, method, start, start + length))
            check(len(places) <= _MAX_ITEMS, "too many extents")
    return places
