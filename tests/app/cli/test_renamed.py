"""Names of the version before work until 0.3, and one line says the new one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.renamed import renamed_part, renamed_scan_kernels, warn_of_old_preset


def test_the_old_name_of_a_command_works_and_names_the_new_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["draw", str(tmp_path / "out"), "--images", "1"])
    assert result.exit_code == 0
    assert "vtt draw is now called vtt sample-images" in result.stderr
    assert "until version 0.3" in result.stderr
    assert sum(path.suffix == ".png" for path in (tmp_path / "out").rglob("*")) == 5


def test_a_method_with_the_old_preset_is_read_and_the_new_name_is_named_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["adapt", str(tmp_path), "--dry-run", "--method", "clip-lora@own:iterations=9"])
    assert "a preset among" not in result.stderr
    assert result.stderr.count("is now called original") == 1


@pytest.mark.parametrize("methods", ["clip-lora@original", "clip-lora+vtt@paper:iterations=1", "zero-shot", ""])
def test_other_methods_are_no_reason_to_warn(methods: str, capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_old_preset(methods)
    assert capsys.readouterr().err == ""


def test_a_shard_may_still_be_called_a_part(tmp_path: Path) -> None:
    arguments = ["bench", "episodes", "--data", str(tmp_path), "--part", "2/1", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, arguments)
    assert "--part is now called --shard" in result.stderr
    assert renamed_part("1/2") == "1/2"


def test_the_old_name_of_the_scan_kernels_is_taken_for_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert renamed_scan_kernels("same-bytes") == "reproducible"
    assert "--scan-kernels reproducible" in capsys.readouterr().err
    assert renamed_scan_kernels("mamba-ssm") == "mamba-ssm"
    assert capsys.readouterr().err == ""
