"""Write PNG files chunk by chunk, including invalid ones."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"


def chunk(kind: bytes, content: bytes, *, crc_error: int = 0) -> bytes:
    """A chunk. A `crc_error` other than 0 makes its checksum wrong."""
    checksum = zlib.crc32(kind + content) ^ crc_error
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def header(width: int, height: int, bits: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def deflated_zeros(size_bytes: int) -> bytes:
    """A raw deflate stream of zero bytes: the same packed mebibyte, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(size_bytes % 2**20)) + packer.flush()
    return mebibyte * (size_bytes // 2**20) + rest


def zeros(size_bytes: int) -> bytes:
    """The same as a zlib stream."""
    checksum = (size_bytes % 65_521) << 16 | 1
    return b"\x78\xda" + deflated_zeros(size_bytes) + struct.pack(">I", checksum)


def grey(width: int = 16, height: int = 16, *, before: bytes = b"", after: bytes = b"", crc_error: int = 0) -> bytes:
    """A black 8-bit grey image with extra chunks before and after the pixels."""
    pixels = chunk(b"IDAT", zeros(height * (width + 1)), crc_error=crc_error)
    return header(width, height, colour=0) + before + pixels + after + END
