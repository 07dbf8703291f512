from __future__ import annotations

import copy
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vtt_core.ingest.spool import Spool


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def read(kept: object) -> bytes:
    return kept if isinstance(kept, bytes) else kept()  # type: ignore[operator, no-any-return]


def num_open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_what_fits_stays_in_memory_and_the_rest_is_read_as_it_was() -> None:
    contents = [bytes([index]) * 1000 for index in range(5)]
    spool = Spool(memory_bytes=2500)
    kept = [spool.keep(content) for content in contents]
    assert [isinstance(one, bytes) for one in kept] == [True, True, False, False, False]
    assert [read(one) for one in kept] == contents


def test_the_file_has_no_name_and_ends_with_the_last_image(tmp_path: Path) -> None:
    before = num_open_files()
    spool = Spool(memory_bytes=0)
    kept = [spool.keep(b"one"), spool.keep(b"two")]
    assert list(tmp_path.iterdir()) == []
    assert num_open_files() == before + 1
    del spool
    assert read(kept[1]) == b"two"
    kept.clear()
    assert num_open_files() == before


def test_threads_read_side_by_side() -> None:
    spool = Spool(memory_bytes=0)
    contents = [os.urandom(20_000) for _ in range(50)]
    kept = [spool.keep(content) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, kept * 4)) == contents * 4


def test_memory_is_used_where_there_is_no_room_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    assert Spool(memory_bytes=0).keep(b"one") == b"one"


def test_the_last_room_on_a_disk_is_left_free(monkeypatch: pytest.MonkeyPatch) -> None:
    content, spool = b"x" * 1000, Spool(memory_bytes=0)
    kept = spool.keep(content)
    free = os.statvfs(tempfile.gettempdir())
    monkeypatch.setattr("vtt_core.ingest.spool.FREE_BYTES", free.f_bavail * free.f_frsize + 2**40)
    assert spool.keep(content) == content
    assert not isinstance(kept, bytes)
    assert read(kept) == content


def test_memory_is_used_where_no_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert Spool(memory_bytes=0).keep(b"one") == b"one"


def test_it_is_not_copied() -> None:
    kept = Spool(memory_bytes=0).keep(b"one")
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(kept)
