"""Checks that zips and folders share, one entry at a time."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from vtt_core.contract.errors import ArchiveLayoutError, ImageTooManyBytesError, NotAFileError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.entry_checks import checked_content, entry_problem

SMALL = replace(DEFAULT_LIMITS, max_image_bytes=100)


@pytest.mark.parametrize("mode", [0, 0o644, stat.S_IFREG | 0o644])
def test_an_ordinary_file_has_no_problem(mode: int) -> None:
    assert entry_problem("dog/1.jpg", mode, 100, SMALL) is None


def test_a_link_is_named_as_one() -> None:
    problem = entry_problem("dog/1.jpg", stat.S_IFLNK, 10, SMALL)
    assert isinstance(problem, NotAFileError)
    assert "a link" in problem.got


def test_a_large_file_is_a_problem() -> None:
    assert isinstance(entry_problem("dog/1.jpg", 0, 101, SMALL), ImageTooManyBytesError)


def test_content_within_the_limit_is_returned() -> None:
    assert checked_content(b"x" * 100, "dog/1.jpg", SMALL) == b"x" * 100


def test_content_over_the_limit_is_refused() -> None:
    with pytest.raises(ImageTooManyBytesError):
        checked_content(b"x" * 101, "dog/1.jpg", SMALL)


@pytest.mark.parametrize("content", [b"PK\x03\x04...", b"\x1f\x8b\x08", b"Rar!\x1a", b"\0" * 257 + b"ustar\0"])
def test_an_archive_inside_is_refused(content: bytes) -> None:
    with pytest.raises(ArchiveLayoutError, match=r"dog/1\.jpg"):
        checked_content(content, "dog/1.jpg", DEFAULT_LIMITS)
