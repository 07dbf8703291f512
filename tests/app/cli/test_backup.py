"""`vtt backup` writes the file that was asked for."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.domain.errors import NothingToBackUpError


def test_a_file_or_a_folder_can_be_named(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VTT_DATA_DIR", str(tmp_path))
    named = CliRunner().invoke(cli, ["backup", "--out", str(tmp_path / "mine.tar")])
    assert named.exit_code == 0, named.stderr
    assert "0 blobs" in named.stderr
    folder = tmp_path / "backups"
    folder.mkdir()
    result = CliRunner().invoke(cli, ["backup", "--out", str(folder), "--json"])
    (written,) = folder.iterdir()
    assert json.loads(result.stdout)["file"] == str(written)
    assert json.loads(result.stdout)["size_bytes"] == written.stat().st_size


def test_a_data_folder_without_a_service_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(cli, ["backup", "--out", str(tmp_path / "mine.tar"), "--data-dir", str(tmp_path / "none")])
    assert isinstance(result.exception, NothingToBackUpError)
