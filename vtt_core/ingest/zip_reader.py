"""Read the entries of a zip as streams, trusting neither its directory nor its declared sizes."""

from __future__ import annotations

import io
import struct
import threading
import zipfile
from typing import BinaryIO

from vtt_core.contract.errors import ArchiveTooLargeError, NotAZipError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.entry_checks import checked_content, refuse_entries, refuse_size, too_many_bytes
from vtt_core.ingest.printable import printable
from vtt_core.ingest.zip_unpack import unpack_entry

_MIN_DIRECTORY_BYTES = 1 << 16
_RATIO_FROM_BYTES = 2**20
"""The compression ratio of smaller entries is not limited."""
_MAX_DIRECTORY_BYTES_PER_ENTRY = 512
"""Size allowed for one record of the directory: 46 bytes, the path and extra fields."""


def check_directory(stream: BinaryIO, limits: Limits) -> None:
    """Check the end record, before the directory with all its names is loaded.

    Raises:
        NotAZipError: there is no end record.
        ArchiveTooLargeError: the zip, its entry count or its directory is over the limits.
    """
    size_bytes = stream.seek(0, io.SEEK_END)
    if size_bytes > limits.max_archive_bytes:
        raise ArchiveTooLargeError(
            expected=f"a zip of at most {limits.max_archive_bytes} bytes", got=f"{size_bytes} bytes", remedy="Send fewer images"
        )
    tail_start = max(0, size_bytes - (22 + 0xFFFF))
    stream.seek(tail_start)
    tail = stream.read()
    stream.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise NotAZipError(
            expected="a zip file",
            got=f"{size_bytes} bytes beginning with {_first_bytes(stream)!r}" if size_bytes else "an empty file (0 bytes)",
            remedy="Pack the folders with the images into a .zip",
        )
    num_entries, directory_bytes = struct.unpack_from("<10xHL", tail, end)
    locator = end - 20
    if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
        (record_start,) = struct.unpack_from("<8xQ", tail, locator)
        stream.seek(min(record_start, size_bytes))
        record = stream.read(56)
        if len(record) == 56:
            num_entries, directory_bytes = struct.unpack_from("<32xQQ", record)
    most_bytes = _MAX_DIRECTORY_BYTES_PER_ENTRY * limits.max_archive_entries
    if num_entries > limits.max_archive_entries or directory_bytes > max(most_bytes, _MIN_DIRECTORY_BYTES):
        refuse_entries(f"{num_entries} entries in a directory of {directory_bytes} bytes", limits)


def _first_bytes(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(12)


def open_zip(stream: BinaryIO) -> zipfile.ZipFile:
    """Return the zip with its directory read.

    Raises:
        NotAZipError: the directory is damaged.
    """
    try:
        return zipfile.ZipFile(stream)
    except MemoryError:
        raise
    except Exception as error:  # a damaged directory can make zipfile raise almost anything
        raise NotAZipError(
            expected="a complete zip file", got=f"a damaged one ({str(error)[:120]})", remedy="Pack and send it again"
        ) from error


def check_declared(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Check the declared entry count, unpacked size and compression ratios.

    Raises:
        ArchiveTooLargeError: one of them is over its limit.
    """
    if len(infos) > limits.max_archive_entries:
        refuse_entries(f"{len(infos)} entries", limits)
    size_bytes = sum(info.file_size for info in infos)
    if size_bytes > limits.max_unpacked_bytes:
        refuse_size(f"{size_bytes} bytes", limits)
    for info in infos:
        _check_ratio(info, info.file_size, limits)


def _check_ratio(info: zipfile.ZipInfo, size_bytes: int, limits: Limits) -> None:
    if size_bytes > _RATIO_FROM_BYTES and size_bytes > limits.max_compression_ratio * info.compress_size:
        raise ArchiveTooLargeError(
            expected=f"files compressed at most {limits.max_compression_ratio:g} to 1",
            got=f"{printable(info.filename[:200])!r} with {size_bytes} bytes from {info.compress_size}",
            remedy="Send the images as JPEG or PNG",
        )


class ZipReader:
    """Read entries as streams, and count the bytes that are really unpacked."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self._lock = threading.Lock()
        self._entry_bytes: dict[int, int] = {}
        self._total_bytes = 0

    def read(self, info: zipfile.ZipInfo, path: str) -> bytes:
        """Return the entry's content.

        Args:
            info: the entry's record.
            path: of the entry, for messages.

        Raises:
            ArchiveTooLargeError: it unpacks to more than its record or the limits allow.
            ImageTooManyBytesError: it is larger than an image may be.
            ArchiveLayoutError: it is an archive itself.
            NotAZipError: its bytes are damaged.
        """
        content = bytearray()
        try:
            for chunk in unpack_entry(self._archive, info, self._limits.max_image_bytes):
                content += chunk
                self._count(info, path, len(content))
        except (VttError, MemoryError):
            raise
        except Exception as error:  # of zlib, bz2, lzma, struct and more: all mean damage
            raise NotAZipError(
                expected="an undamaged file in the zip",
                got=f"{printable(path)!r} ({str(error)[:120]})",
                remedy="Pack and send it again",
            ) from error
        return checked_content(bytes(content), path, self._limits)

    def _count(self, info: zipfile.ZipInfo, path: str, size_bytes: int) -> None:
        _check_ratio(info, size_bytes, self._limits)
        if size_bytes > self._limits.max_image_bytes:
            raise too_many_bytes(path, size_bytes, self._limits)
        with self._lock:
            before = self._entry_bytes.get(info.header_offset, 0)
            if size_bytes > before:  # reading the same entry again costs nothing new
                self._entry_bytes[info.header_offset] = size_bytes
                self._total_bytes += size_bytes - before
            total_bytes = self._total_bytes
        if total_bytes > self._limits.max_unpacked_bytes:
            refuse_size(f"{total_bytes} bytes", self._limits)
