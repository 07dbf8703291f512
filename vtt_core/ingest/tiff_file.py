"""Read the first directory of a TIFF, and write a TIFF: in both byte orders, classic and BigTIFF.

Source: TIFF 6.0, section 2; BigTIFF (libtiff.gitlab.io/libtiff/specification/bigtiff.html).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from vtt_core.ingest.structure import check

_FORMATS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 16: "Q", 17: "q"}
_TEXT = 2
"""Type of a text, which is read as bytes."""
Number = int | float


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    kind: int
    """Number of its type, such as 3 for 16 bits."""
    count: int
    content: bytes
    """In the file's byte order."""


@dataclass(frozen=True)
class ByteFormat:
    """Byte order and word size of a file."""

    head: bytes
    """First four bytes."""
    order: str
    """`<` or `>`, as in `struct`."""
    is_big: bool

    @property
    def place(self) -> str:
        """Format of an offset."""
        return "Q" if self.is_big else "I"

    @property
    def place_bytes(self) -> int:
        """Size of an offset."""
        return 8 if self.is_big else 4

    def numbers(self, entry: Entry) -> tuple[Number, ...]:
        """Return the values of an entry. A fraction counts as two."""
        check(entry.kind in _FORMATS, "tag without numbers")
        per_value = _FORMATS[entry.kind]
        num_values = len(entry.content) // struct.calcsize(f"<{per_value}")
        return struct.unpack(f"{self.order}{num_values * len(per_value)}{per_value[0]}", entry.content)

    def entry_of(self, values: Sequence[int], kind: int = 4) -> Entry:
        """Make an entry of whole numbers."""
        return Entry(kind, len(values), struct.pack(f"{self.order}{len(values)}{_FORMATS[kind]}", *values))


def read_directory(encoded: bytes) -> tuple[ByteFormat, dict[int, Entry]]:
    """Return the tags of the first directory. If a tag is repeated, the first one counts.

    Raises:
        UnknownStructureError: the header or the directory is malformed.
    """
    check(encoded[:2] in (b"II", b"MM"), "not a TIFF")
    order = "<" if encoded[:2] == b"II" else ">"
    byte_format = ByteFormat(encoded[:4], order, encoded[2:4] in (b"+\0", b"\0+"))
    try:
        return byte_format, _read_entries(encoded, byte_format)
    except struct.error as error:
        check(False, f"directory past the end: {error}")
        raise


def _read_entries(encoded: bytes, byte_format: ByteFormat) -> dict[int, Entry]:
    order, place = byte_format.order, byte_format.place
    (start,) = struct.unpack_from(order + place, encoded, 8 if byte_format.is_big else 4)
    check(start < len(encoded), "directory past the end")
    (num_tags,) = struct.unpack_from(order + ("Q" if byte_format.is_big else "H"), encoded, start)
    start += 8 if byte_format.is_big else 2
    one = 4 + 2 * byte_format.place_bytes
    check(num_tags * one <= len(encoded) - start, "directory past the end")
    entries: dict[int, Entry] = {}
    total_bytes = 0
    for at in range(start, start + num_tags * one, one):
        tag, kind, count = struct.unpack_from(f"{order}HH{place}", encoded, at)
        if tag in entries or not (kind in _FORMATS or kind == _TEXT):
            continue
        num_bytes = count * (1 if kind == _TEXT else struct.calcsize("<" + _FORMATS[kind]))
        value_at = at + 4 + byte_format.place_bytes
        if num_bytes > byte_format.place_bytes:
            (value_at,) = struct.unpack_from(order + place, encoded, value_at)
        total_bytes += num_bytes
        # Tags may share bytes. Their total is limited, or a small file could fill the memory.
        if num_bytes and value_at + num_bytes <= len(encoded) and total_bytes <= len(encoded):
            entries[tag] = Entry(kind, count, encoded[value_at : value_at + num_bytes])
    return entries


def write_file(byte_format: ByteFormat, entries: dict[int, Entry], data: Sequence[bytes], data_tag: int) -> bytes:
    """Return a file with one directory, followed by the data.

    Args:
        byte_format: of the new file.
        entries: its tags, without the offsets of the data.
        data: strips or tiles. The same object is written once.
        data_tag: the tag for their offsets.
    """
    head_bytes = 16 if byte_format.is_big else 8
    count_bytes = 8 if byte_format.is_big else 2
    entries = entries | {
        data_tag: Entry(16 if byte_format.is_big else 4, len(data), bytes(byte_format.place_bytes * len(data)))
    }
    position = head_bytes + count_bytes + len(entries) * (4 + 2 * byte_format.place_bytes) + byte_format.place_bytes
    values_at: dict[int, int] = {}
    for tag, entry in sorted(entries.items()):
        if len(entry.content) > byte_format.place_bytes:
            position += position % 2
            values_at[tag], position = position, position + len(entry.content)
    data_at, places = {}, []
    for piece in data:
        if id(piece) not in data_at:
            position += position % 2
            data_at[id(piece)], position = position, position + len(piece)
        places.append(data_at[id(piece)])
    entries[data_tag] = byte_format.entry_of(places, entries[data_tag].kind)
    content = bytearray(position)
    _write_directory(content, byte_format, entries, values_at, head_bytes)
    for piece in data:
        content[data_at[id(piece)] : data_at[id(piece)] + len(piece)] = piece
    return bytes(content)


def _write_directory(
    content: bytearray, byte_format: ByteFormat, entries: dict[int, Entry], values_at: dict[int, int], start: int
) -> None:
    order, place = byte_format.order, byte_format.place
    content[:4] = byte_format.head
    if byte_format.is_big:
        struct.pack_into(f"{order}HHQ", content, 4, 8, 0, start)
    else:
        struct.pack_into(f"{order}I", content, 4, start)
    struct.pack_into(order + ("Q" if byte_format.is_big else "H"), content, start, len(entries))
    at = start + (8 if byte_format.is_big else 2)
    for tag, entry in sorted(entries.items()):
        struct.pack_into(f"{order}HH{place}", content, at, tag, entry.kind, entry.count)
        at += 4 + byte_format.place_bytes
        if tag in values_at:
            struct.pack_into(order + place, content, at, values_at[tag])
            content[values_at[tag] : values_at[tag] + len(entry.content)] = entry.content
        else:
            content[at : at + len(entry.content)] = entry.content
        at += byte_format.place_bytes
