"""A zip's end record and directory are checked before an entry is read. test_archives.py tests the rest."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest

from vtt_core.contract.errors import ArchiveTooLargeError, NotAZipError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.zip_reader import check_directory


def end_record(num_entries: int, directory_bytes: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, num_entries, num_entries, directory_bytes, 0, len(comment)) + comment


def test_an_end_record_before_a_long_comment_is_found() -> None:
    check_directory(io.BytesIO(b"x" * 1000 + end_record(3, 300, b"comment" * 9000)), DEFAULT_LIMITS)


@pytest.mark.parametrize(("num_entries", "directory_bytes"), [(20_001, 300), (1, 2**31)])
def test_too_much_declared_in_the_end_record_is_refused(num_entries: int, directory_bytes: int) -> None:
    with pytest.raises(ArchiveTooLargeError):
        check_directory(io.BytesIO(end_record(num_entries, directory_bytes)), DEFAULT_LIMITS)


def test_the_large_end_record_is_believed_over_the_small_one() -> None:
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**7, 10**7, 300, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    with pytest.raises(ArchiveTooLargeError, match="10000000 entries"):
        check_directory(io.BytesIO(large + locator + end_record(0xFFFF, 0xFFFFFFFF)), replace(DEFAULT_LIMITS))


def test_bytes_without_an_end_record_are_no_zip() -> None:
    with pytest.raises(NotAZipError, match="beginning with b'hello'"):
        check_directory(io.BytesIO(b"hello"), DEFAULT_LIMITS)
