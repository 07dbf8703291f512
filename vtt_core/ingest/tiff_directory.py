"""Read the pages of a TIFF, and choose the one that is the image.

Pillow reads directories too, but gives up on a file whose kind of pixels it does not know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from vtt_core.contract.errors import AnimatedImageError, ImageTooComplexError, UnsupportedKindError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0")
"""First bytes of a TIFF. The third and fourth are BigTIFF. The last two are an error of some programs, which Pillow accepts."""
MAX_PAGES = 1000
"""Most pages that are read. An image with its overviews has about 10."""
MAX_ENTRIES = 200_000
"""Most entries of all pages together. Directories may overlap, so a small file can have very many."""

_FORMATS = {
    1: "B",
    2: "s",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_REDUCED, _MASK = 1, 4


class Tag(IntEnum):
    """The supported tags."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    LENGTH = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    MAX_SAMPLE = 281
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    INK_SET = 332
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    SMIN_SAMPLE = 340
    SMAX_SAMPLE = 341
    SUBSAMPLING = 530
    XMP = 700
    ICC_PROFILE = 34675
    GDAL_NODATA = 42113
    DNG_VERSION = 50706


_TAGS = frozenset(Tag)


@dataclass(frozen=True)
class Directory:
    """One page of a TIFF. Values are read on request."""

    encoded: bytes
    offset: int
    """Offset of the directory."""
    is_big_endian: bool
    entries: dict[int, tuple[int, int, int]]
    """Tag -> type, number of values, and their offset."""

    def numbers(self, tag: Tag, max_count: int = 64) -> tuple[float, ...]:
        """Return at most `max_count` values of a tag, or none if it is missing.

        Raises:
            ValueError: the values are past the end of the file, or are not numbers.
        """
        if tag not in self.entries:
            return ()
        kind, count, position = self.entries[tag]
        letter = _FORMATS.get(kind, "s")
        if letter == "s":
            raise ValueError(f"tag {tag} has values of type {kind}")
        count = min(count, max_count)
        try:
            return struct.unpack_from(f"{self.byte_order}{count}{letter}", self.encoded, position)
        except struct.error as error:
            raise ValueError(f"the values of tag {tag} are past the end") from error

    def number(self, tag: Tag, default: int) -> int:
        """Return the first value of a tag as an integer.

        Raises:
            ValueError: see `numbers`.
        """
        return int(next(iter(self.numbers(tag, 1)), default))

    def content(self, tag: Tag) -> bytes:
        """Return the bytes of a tag's values, or nothing if the tag is missing or its values are wider than a byte."""
        kind, count, position = self.entries.get(tag, (0, 0, 0))
        return self.encoded[position : position + count] if kind in (1, 2, 6, 7) else b""

    @property
    def byte_order(self) -> str:
        """Return the letter that `struct` and numpy use."""
        return ">" if self.is_big_endian else "<"


def picture_directory(encoded: bytes) -> Directory:
    """Return the image's page: the only one that is neither a reduced copy nor a mask.

    Raises:
        AnimatedImageError: several pages are separate images.
        ImageTooComplexError: the directories have too many entries.
        UnsupportedKindError: it is a camera's raw file.
        ValueError: the first directory is damaged.
    """
    pages = list(_directories(encoded))
    if not pages:
        raise ValueError("the first directory is past the end")
    full = [page for page in pages if not _is_copy_or_mask(page)]
    raw = _camera_raw(encoded, pages, has_picture=bool(full))
    if raw is not None:
        raise UnsupportedKindError(
            expected="a developed picture",
            got=f"a camera RAW photo ({raw})",
            remedy="Convert it to JPEG with the camera's program",
        )
    if len(full) > 1 or len(pages) == MAX_PAGES:
        raise AnimatedImageError(
            expected="one still picture",
            got=f"a TIFF file of {len(full)} pages" if len(full) > 1 else f"a TIFF file of {MAX_PAGES} or more pages",
            remedy="Send one page as an image of its own",
        )
    return full[0] if full else pages[0]


def _camera_raw(encoded: bytes, pages: list[Directory], *, has_picture: bool) -> str | None:
    """Return the kind of a camera's raw file, or None. Its pages are previews; the sensor's values are elsewhere."""
    if encoded[8:10] == b"CR":
        return "CR2"
    if any(len(page.content(Tag.DNG_VERSION)) == 4 for page in pages):
        return "DNG"
    return "NEF, ARW or the like" if not has_picture and Tag.SUB_DIRECTORIES in pages[0].entries else None


def with_first_page(encoded: bytes, page: Directory) -> bytes:
    """Return the TIFF with the given page first; the same bytes if it already is."""
    at, letter = (8, "Q") if _is_big_tiff(encoded) else (4, "I")
    if struct.unpack_from(page.byte_order + letter, encoded, at)[0] == page.offset:
        return encoded
    offset = struct.pack(page.byte_order + letter, page.offset)
    return encoded[:at] + offset + encoded[at + len(offset) :]


def _is_copy_or_mask(page: Directory) -> bool:
    is_reduced = page.number(Tag.SUBFILE_TYPE, 1) == 2
    return is_reduced or bool(page.number(Tag.NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK))


def _is_big_tiff(encoded: bytes) -> bool:
    return 43 in encoded[2:4]


def _directories(encoded: bytes) -> Iterator[Directory]:
    order = ">" if encoded.startswith(b"MM") else "<"
    is_big = _is_big_tiff(encoded)
    seen: set[int] = set()
    num_entries = 0
    try:
        (offset,) = struct.unpack_from(order + ("Q" if is_big else "I"), encoded, 8 if is_big else 4)
        while offset and offset not in seen and len(seen) < MAX_PAGES:
            seen.add(offset)
            num_entries += struct.unpack_from(order + ("Q" if is_big else "H"), encoded, offset)[0]
            if num_entries > MAX_ENTRIES:
                raise ImageTooComplexError(
                    expected=f"a TIFF of at most {MAX_ENTRIES} tags", got="more", remedy="Save it again from an image program"
                )
            entries, following = _entries(encoded, offset, order, is_big)
            yield Directory(encoded, offset, order == ">", entries)
            offset = following
    except struct.error:  # a page past the end is ignored
        return


def _entries(encoded: bytes, offset: int, order: str, is_big: bool) -> tuple[dict[int, tuple[int, int, int]], int]:
    """Return the known entries of a directory and the offset of the next directory."""
    letter, count_letter, inline = ("Q", "Q", 8) if is_big else ("I", "H", 4)
    entry = struct.Struct(f"{order}HH{letter}")
    (count,) = struct.unpack_from(order + count_letter, encoded, offset)
    start = offset + struct.calcsize(order + count_letter)
    end = start + count * (entry.size + inline)
    if end > len(encoded):
        raise struct.error
    has_following = end + inline <= len(encoded)
    following = struct.unpack_from(order + letter, encoded, end)[0] if has_following else 0
    entries: dict[int, tuple[int, int, int]] = {}
    for position in range(start, end, entry.size + inline):
        tag, kind, num_values = entry.unpack_from(encoded, position)
        if tag not in _TAGS or tag in entries:
            continue
        at = position + entry.size
        if num_values * _type_bytes(kind) > inline:
            (at,) = struct.unpack_from(order + letter, encoded, at)
        entries[tag] = (kind, num_values, at)
    return entries, following


def _type_bytes(kind: int) -> int:
    return struct.calcsize("<" + _FORMATS.get(kind, "Q"))  # types missing from the table are pairs of 32 bits
