"""`vtt restore` takes the file, or the newest one of a folder."""

from pathlib import Path

import pytest

from app.cli.restore import _choose
from app.domain.errors import BackupDamagedError


def test_the_newest_archive_of_a_folder_is_taken(tmp_path: Path) -> None:
    for name in ("vtt-backup-20300101T000000Z.tar", "vtt-backup-20300102T000000Z.tar", ".vtt-backup-2031.tar.part", "z.tar"):
        (tmp_path / name).touch()
    assert _choose(tmp_path).name == "vtt-backup-20300102T000000Z.tar"
    assert _choose(tmp_path / "z.tar").name == "z.tar"


def test_a_place_without_an_archive_is_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.tar"):
        with pytest.raises(BackupDamagedError, match=str(place)):
            _choose(place)
