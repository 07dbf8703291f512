from pathlib import Path

from typer.testing import CliRunner

from app.cli.main import cli


def test_a_folder_per_class_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["sample-images", str(tmp_path / "out"), "--images", "2"])
    assert result.exit_code == 0
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == [
        "chessboard",
        "polka dots",
        "rings",
        "star",
        "stripes",
    ]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 10
