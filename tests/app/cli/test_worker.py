from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import worker as worker_module
from app.cli.main import cli


def test_a_worker_is_another_program_with_the_given_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(worker_module.os, "execv", lambda program, arguments: started.append(arguments))
    monkeypatch.setenv("VTT_DEVICE", "cuda")
    monkeypatch.setenv("VTT_DATA_DIR", "elsewhere")
    result = CliRunner().invoke(cli, ["worker", "--device", "cpu", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert started[0][1:] == ["-m", "worker"]
    assert worker_module.os.environ["VTT_DEVICE"] == "cpu"
    assert worker_module.os.environ["VTT_DATA_DIR"] == str(tmp_path)
