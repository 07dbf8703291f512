import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.synthetic_images import write_folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folders(tmp_path / "drawn", num_images=4)
    return tmp_path / "drawn"


@pytest.mark.slow
def test_a_photo_in_two_classes_is_reported_in_words_and_as_json(folder: Path) -> None:
    with Image.open(folder / "star" / "001.png") as image:
        image.resize((70, 70)).save(folder / "rings" / "copy.jpg", quality=70)
    shown = CliRunner().invoke(cli, ["inspect", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert "'rings/copy.jpg' in 'rings' and 'star/001.png' in 'star' look like one photo." in shown.stdout
    printed = CliRunner().invoke(cli, ["inspect", str(folder), "--json"])
    report = json.loads(printed.stdout)
    assert report["num_images"] == 21
    assert {one["label"]: one["shot"] for one in report["classes"]} == {
        "chessboard": 4,
        "polka dots": 4,
        "rings": 5,
        "star": 4,
        "stripes": 4,
    }
    assert [one["images"] for one in report["copies"]] == [["rings/copy.jpg", "star/001.png"]]
    assert report["findings"][0]["kind"] == "copies.across_classes"


@pytest.mark.slow
def test_one_image_of_each_class_can_be_inspected(folder: Path) -> None:
    shown = CliRunner().invoke(cli, ["inspect", str(folder), "--shot", "1"])
    assert shown.exit_code == 0, shown.output
    assert "Every class has one image" in shown.stdout
    assert "not known" in shown.stdout


@pytest.mark.slow
def test_groups_and_the_negative_class_are_read(folder: Path) -> None:
    for label in ("rings", "star"):
        for index in range(4):
            (folder / label / f"{index:03}.png").rename(folder / label / f"{label}_{index}.png")
    command = ["inspect", str(folder), "--group-prefix", "--negative", "stripes", "--json"]
    report = json.loads(CliRunner().invoke(cli, command).stdout)
    assert [one["num_independent"] for one in report["classes"]] == [4, 4, 1, 1]
    assert report["num_images"] == 20
    assert [finding["kind"] for finding in report["findings"]].count("groups.whole_class") == 2
