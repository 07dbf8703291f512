from pathlib import Path

from typer.testing import CliRunner

from app.cli.main import cli


def test_the_old_name_of_a_command_works_and_names_the_new_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["draw", str(tmp_path / "out"), "--images", "1"])
    assert result.exit_code == 0
    assert "vtt draw is now called vtt sample-images" in result.stderr
    assert sum(path.suffix == ".png" for path in (tmp_path / "out").rglob("*")) == 5
