"""Remove the metadata of a PNG without re-encoding its pixels.

Kept are the chunks that decoding needs, the chunks about colours, and the orientation.

Source: W3C PNG specification, third edition, section 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.orientation import UPRIGHT, orientation_exif, raw_profile, read_orientation
from vtt_core.ingest.png_header import SIGNATURE
from vtt_core.ingest.structure import check

MAX_INFLATED_BYTES = 2**20
"""Most bytes of a text or a profile. Pillow has the same limit."""
_MAX_BYTES = {b"PLTE": 768, b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"sBIT": 4, b"cICP": 4}
"""Chunks that are kept, with their largest valid size."""
_XMP_KEYWORD, _RAW_KEYWORD = b"XML:com.adobe.xmp", b"Raw profile type exif"


@dataclass(frozen=True)
class Chunk:
    """One chunk. Its checksum is kept from the file, even if wrong: decoders differ in what they accept."""

    name: bytes
    content: bytes
    checksum: bytes

    @classmethod
    def of(cls, name: bytes, content: bytes) -> Chunk:
        """Make a chunk with a correct checksum."""
        return cls(name, content, struct.pack(">I", zlib.crc32(name + content)))

    def encode(self) -> bytes:
        """Return its bytes in a file."""
        return struct.pack(">I", len(self.content)) + self.name + self.content + self.checksum


def strip_png(encoded: bytes) -> bytes:
    """Return the PNG without metadata.

    Raises:
        UnknownStructureError: it does not start with its header, or a chunk reaches past the end.
    """
    chunks = list(_chunks(encoded))
    check(bool(chunks) and chunks[0].name == b"IHDR" and len(chunks[0].content) == 13, "no header")
    orientation = _orientation(chunks)
    turned = [] if orientation == UPRIGHT else [Chunk.of(b"eXIf", orientation_exif(orientation))]
    rest = [kept for chunk in chunks[1:] if (kept := _kept(chunk)) is not None]
    kept_chunks = [chunks[0], *turned, *rest, Chunk.of(b"IEND", b"")]
    return SIGNATURE + b"".join(chunk.encode() for chunk in kept_chunks)


def inflate(packed: bytes) -> bytes:
    """Return the content of a small zlib stream, or nothing if it is damaged or too large."""
    return _inflated(packed)[0]


def _inflated(packed: bytes) -> tuple[bytes, bytes]:
    """Return the content of the stream, and the bytes after it."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(packed, MAX_INFLATED_BYTES)
    except zlib.error:
        return b"", b""
    return (b"", b"") if stream.unconsumed_tail else (plain, stream.unused_data)


def _chunks(encoded: bytes) -> Iterator[Chunk]:
    check(encoded.startswith(SIGNATURE), "not a PNG")
    position = len(SIGNATURE)
    while position < len(encoded):
        length = int.from_bytes(encoded[position : position + 4], "big")
        name, end = encoded[position + 4 : position + 8], position + 8 + length
        check(end + 4 <= len(encoded), "chunk past the end")
        if name == b"IEND":
            return
        yield Chunk(name, encoded[position + 8 : end], encoded[end : end + 4])
        position = end + 4


def _kept(chunk: Chunk) -> Chunk | None:
    if chunk.name == b"IDAT":
        return chunk
    if chunk.name == b"iCCP":
        return _clean_profile(chunk)
    return chunk if len(chunk.content) <= _MAX_BYTES.get(chunk.name, -1) else None


def _clean_profile(chunk: Chunk) -> Chunk | None:
    name, _, packed = chunk.content.partition(b"\0")
    plain, trailing = _inflated(packed[1:])
    profile = clean_icc(plain)
    if not profile:
        return None
    if profile == plain and not trailing and len(name) < 80:
        return chunk
    return Chunk.of(b"iCCP", b"icc\0\0" + zlib.compress(profile))


def _orientation(chunks: list[Chunk]) -> int:
    exif = raw = xmp = None
    for chunk in chunks:
        keyword, _, rest = chunk.content.partition(b"\0")
        if chunk.name == b"eXIf":
            exif = chunk.content
        elif chunk.name in (b"tEXt", b"zTXt") and keyword == _RAW_KEYWORD:
            raw = rest if chunk.name == b"tEXt" else inflate(rest[1:])
        elif chunk.name in (b"tEXt", b"zTXt") and keyword == _XMP_KEYWORD:
            xmp = rest if chunk.name == b"tEXt" else inflate(rest[1:])
        elif chunk.name == b"iTXt" and keyword == _XMP_KEYWORD:
            xmp = _international_text(rest)
    if exif is None and raw is not None:
        exif = raw_profile(raw.decode("latin-1"))
    return read_orientation(exif, xmp)


def _international_text(rest: bytes) -> bytes:
    is_packed, parts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return b""
    return inflate(parts[2]) if is_packed else parts[2]
