"""Unpack one entry of a zip in pieces of limited size.

zipfile does this for stored and deflated entries. For bzip2 and LZMA it unpacks 4 KiB of input at once, which can give
gigabytes, so these two are unpacked here. So is XZ, which zipfile does not support.
"""

from __future__ import annotations

import bz2
import copy
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

from vtt_core.ingest.zip_methods import BZIP2, LZMA, XZ

CHUNK_BYTES = 1 << 16
"""Size of a piece of unpacked content."""
_XZ_MEMORY_BYTES = 128 * 2**20
"""Unpacking the strongest preset of xz needs 65 MiB."""
_LZMA_HEAD = struct.Struct("<BBHBL")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpack_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Iterator[bytes]:
    """Yield the content in pieces of at most CHUNK_BYTES, and check size and checksum at the end.

    Args:
        archive: an open zip.
        info: the entry's record.
        max_bytes: the caller reads no more than this; limits the memory of LZMA.

    Raises:
        zipfile.BadZipFile: the content does not match the record.
        Exception: zipfile, bz2 and lzma raise many kinds for damaged bytes.
    """
    if info.compress_type in (BZIP2, LZMA, XZ):
        return _unpack_packed(archive, info, max_bytes)
    return _read_plain(archive, info)


def _read_plain(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _unpack_packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Iterator[bytes]:
    num_bytes, checksum = 0, 0
    with archive.open(_as_stored(info)) as packed:
        decompressor = _make_decompressor(info, packed, max_bytes)
        while num_bytes < info.file_size and not decompressor.eof:
            data = packed.read(CHUNK_BYTES) if decompressor.needs_input else b""
            if decompressor.needs_input and not data:
                raise zipfile.BadZipFile("the content ends early")
            chunk = decompressor.decompress(data, CHUNK_BYTES)
            num_bytes += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
    if num_bytes != info.file_size or checksum != info.CRC:
        raise zipfile.BadZipFile("size or checksum differs from the record")


def _as_stored(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return a record with which zipfile returns the compressed bytes."""
    stored = copy.copy(info)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, info.compress_size
    stored.CRC = None  # type: ignore[assignment]  # so zipfile does not check it: it is for the unpacked bytes
    return stored


def _make_decompressor(info: zipfile.ZipInfo, packed: IO[bytes], max_bytes: int) -> _Decompressor:
    if info.compress_type == BZIP2:
        return bz2.BZ2Decompressor()
    if info.compress_type == XZ:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
    return _make_lzma(packed, max_bytes)


def _make_lzma(packed: IO[bytes], max_bytes: int) -> lzma.LZMADecompressor:
    """Read the head of the content: version, size of the properties, and the properties."""
    _, _, num_properties, packed_numbers, dictionary_bytes = _LZMA_HEAD.unpack(packed.read(_LZMA_HEAD.size))
    if num_properties != 5 or packed_numbers >= 9 * 5 * 5:
        raise zipfile.BadZipFile("damaged LZMA properties")
    rest, context_bits = divmod(packed_numbers, 9)
    position_bits, literal_bits = divmod(rest, 5)
    options = {
        "id": lzma.FILTER_LZMA1,
        # References never go back further than the unpacked bytes, so a larger dictionary only costs memory.
        "dict_size": max(4096, min(dictionary_bytes, max_bytes)),
        "lc": context_bits,
        "lp": literal_bits,
        "pb": position_bits,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options])
