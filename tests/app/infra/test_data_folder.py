from pathlib import Path

import pytest

from app.domain.errors import DataFolderUnusableError
from app.infra import data_folder
from app.infra.data_folder import check_in_use, load_local_settings, make_writable
from app.infra.settings import Settings


def test_a_new_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    make_writable(tmp_path / "new" / "data")
    assert list((tmp_path / "new" / "data").iterdir()) == []


@pytest.mark.parametrize("below", [False, True])
def test_a_file_is_no_data_folder(below: bool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(DataFolderUnusableError, match="--data-dir") as refused:
        make_writable(file / "data" if below else file)
    assert str(file) in refused.value.got


def test_a_folder_that_cannot_be_written_to_is_refused() -> None:
    with pytest.raises(DataFolderUnusableError):
        make_writable(Path("/proc/vtt-data"))


def test_an_unused_folder_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    elsewhere = Settings(data_dir=file, database_url="postgresql://db/vtt", store_url="s3://bucket", broker_url="redis://r")
    monkeypatch.setattr(data_folder, "load_settings", lambda: elsewhere)
    assert load_local_settings() is elsewhere
    monkeypatch.setattr(data_folder, "load_settings", lambda: Settings(data_dir=file))
    with pytest.raises(DataFolderUnusableError):
        load_local_settings()


def test_a_folder_that_no_service_has_used_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "mistyped")
    with pytest.raises(DataFolderUnusableError, match="vtt.sqlite"):
        check_in_use(settings)
    assert not (tmp_path / "mistyped").exists()
    (tmp_path / "vtt.sqlite").write_bytes(b"")
    check_in_use(Settings(data_dir=tmp_path))
    check_in_use(Settings(data_dir=tmp_path / "none", database_url="postgresql://db/vtt"))
