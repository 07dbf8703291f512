import errno
from collections import namedtuple
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.domain.errors import DiskFullError
from app.infra import disk
from app.infra.disk import DiskSpace, disk_full_error, make_disk_space
from app.infra.settings import Settings

Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: Usage(total, total - free, free))


def test_work_is_refused_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = DiskSpace({"store": tmp_path}, reserve_bytes=100)
    with_free(monkeypatch, free=150, total=10_000)
    space.check_room()
    space.check_room(50)
    with pytest.raises(DiskFullError, match="store files"):
        space.check_room(51)
    with_free(monkeypatch, free=99, total=10_000)
    assert [volume.is_low for volume in space.volumes()] == [True]
    with pytest.raises(DiskFullError):
        space.check_room()


def test_a_small_disk_keeps_back_no_more_than_a_twentieth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, free=60, total=1000)
    DiskSpace({"store": tmp_path}, reserve_bytes=10**9).check_room(10)


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    (volume,) = DiskSpace({"store": tmp_path / "not" / "yet"}, 0).volumes()
    assert volume.free_bytes > 0


def test_only_disks_of_this_machine_are_watched(tmp_path: Path) -> None:
    local = make_disk_space(Settings(data_dir=tmp_path))
    assert [volume.name for volume in local.volumes()] == ["temporary", "database", "store"]
    assert {volume.folder for volume in local.volumes() if volume.name != "temporary"} == {tmp_path, tmp_path / "blobs"}
    cluster = make_disk_space(Settings(data_dir=tmp_path, database_url="postgresql://db/vtt", store_url="s3://bucket"))
    assert [volume.name for volume in cluster.volumes()] == ["temporary"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OperationalError("INSERT", {}, Exception("database or disk is full")),
    ],
)
def test_a_full_disk_is_recognised_in_errors_of_the_system_and_of_sqlite(error: Exception) -> None:
    full = disk_full_error(error)
    assert full is not None
    assert full.code == "disk.full"


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), OperationalError("SELECT", {}, Exception("locked"))])
def test_other_errors_do_not_mean_a_full_disk(error: Exception) -> None:
    assert disk_full_error(error) is None
