"""Write zips entry by entry, including invalid ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

STORED, DEFLATED = 0, 8


@dataclass
class Entry:
    """One entry. None means the correct value."""

    name: bytes
    content: bytes = b""
    method: int = STORED
    flags: int = 0
    mode: int = 0
    extra: bytes = b""
    packed: bytes | None = None
    says_bytes: int | None = None
    """Unpacked size that both headers state."""
    says_packed_bytes: int | None = None
    local_name: bytes | None = None
    at: int | None = None
    """Offset of the entry in the directory."""
    made_by: int = 3
    local: bytes | None = field(default=None)
    """Replaces the whole local part."""

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != DEFLATED:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()


def _sizes(entry: Entry) -> tuple[int, int]:
    packed = len(entry.body()) if entry.says_packed_bytes is None else entry.says_packed_bytes
    return packed, len(entry.content) if entry.says_bytes is None else entry.says_bytes


def local_part(entry: Entry) -> bytes:
    if entry.local is not None:
        return entry.local
    name = entry.name if entry.local_name is None else entry.local_name
    head = struct.pack(
        "<4sHHHHHIIIHH",
        b"PK\3\4",
        20,
        entry.flags,
        entry.method,
        0,
        33,
        zlib.crc32(entry.content),
        *_sizes(entry),
        len(name),
        0,
    )
    return head + name + entry.body()


def directory_part(entry: Entry, at: int) -> bytes:
    fields = (
        20,
        entry.flags,
        entry.method,
        0,
        33,
        zlib.crc32(entry.content),
        *_sizes(entry),
        len(entry.name),
        len(entry.extra),
    )
    head = struct.pack("<4sBBHHHHHIIIHHHHHII", b"PK\1\2", 20, entry.made_by, *fields, 0, 0, 0, entry.mode << 16, at)
    return head + entry.name + entry.extra


def pack(
    entries: Sequence[Entry], *, before: bytes = b"", comment: bytes = b"", says_entries: int | None = None, zip64: bytes = b""
) -> bytes:
    """A zip of these entries; `zip64` comes before the end record."""
    body, directory = bytearray(before), b""
    parts = []
    for entry in entries:
        parts.append(directory_part(entry, len(body) if entry.at is None else entry.at))
        body += local_part(entry)
    directory = b"".join(parts)
    count = len(entries) if says_entries is None else says_entries
    counts = (min(count, 0xFFFF), min(count, 0xFFFF), len(directory), len(body))
    return bytes(body) + directory + zip64 + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *counts, len(comment)) + comment


def zip64_end(entries: int, directory_bytes: int, start: int, record_at: int) -> bytes:
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, directory_bytes, start)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, record_at, 1)
