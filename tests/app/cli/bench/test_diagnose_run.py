import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.synthetic_images import write_folders

TINY = "tests/fixtures/tiny_clip.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_folders(folder, num_images=2)
    return folder


@pytest.mark.slow
def test_a_fine_tuning_becomes_a_picture_and_numbers(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures" / "run.png"
    options = ["--backbone", TINY, "--shot", "1", "--iterations", "3", "--threads", "1", "--device", "cpu"]
    result = CliRunner().invoke(cli, ["diagnose", "run", str(folder), *options, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["file"] == str(out)
    assert found["labels"] == ["chessboard", "polka dots", "rings", "star", "stripes"]
    assert [step["step"] for step in found["steps"]] == [1, 2, 3]
    assert len(found["after"]["influence"]) == len(found["before"]["likeness"])
    with Image.open(out) as picture:
        assert picture.size == (1100, 900)
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50


@pytest.mark.slow
@pytest.mark.parametrize("method", ["frozen", "linear-probe"])
def test_what_does_not_fine_tune_is_refused(folder: Path, tmp_path: Path, method: str) -> None:
    result = CliRunner().invoke(cli, ["diagnose", "run", str(folder), "--method", method, "--out", str(tmp_path / "x.png")])
    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []
