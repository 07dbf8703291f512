"""Unsupported compression and encryption are named."""

import zipfile

import pytest

from vtt_core.contract.errors import UnsupportedMethodError
from vtt_core.ingest.zip_methods import READABLE_METHODS, check_methods


def record(method: int, flags: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("dog/1.jpg")
    info.compress_type, info.flag_bits = method, flags
    return info


@pytest.mark.parametrize("method", READABLE_METHODS)
def test_readable_methods_pass(method: int) -> None:
    check_methods([("dog/1.jpg", record(method))])


@pytest.mark.parametrize(
    ("method", "flags", "name"),
    [
        (9, 0, "Deflate64"),
        (93, 0, "Zstandard"),
        (98, 0, "PPMd"),
        (6, 0, "Imploded"),
        (99, 1, "AES encryption"),
        (8, 1, "ZipCrypto encryption"),
        (8, 0x41, "strong encryption"),
        (65_535, 0, "the unknown compression method 65535"),
    ],
)
def test_other_methods_are_refused_by_name(method: int, flags: int, name: str) -> None:
    with pytest.raises(UnsupportedMethodError, match=f"1 file with {name}, such as 'dog/1.jpg'"):
        check_methods([("cat/1.jpg", record(8)), ("dog/1.jpg", record(method, flags))])


def test_many_files_are_one_error_with_their_number() -> None:
    entries = [(f"dog/{number}.jpg", record(9 if number % 2 else 93)) for number in range(3000)]
    with pytest.raises(UnsupportedMethodError, match=r"3000 files with Deflate64 and Zstandard, such as 'dog/0\.jpg'"):
        check_methods(entries)
