"""`vtt bench unknown` as a user calls it: the table, its JSON, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from vtt_core.contract.errors import InputError

OPTIONS = ("--backbone", "tests/fixtures/tiny_clip.json", "--way", "2", "--shot", "3", "--query", "2", "--episodes", "2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of class folders: maps with three classes, and leaves with two."""
    top = tmp_path_factory.mktemp("data")
    for shift, (name, classes) in enumerate({"maps": ("crop", "river", "forest"), "leaves": ("rust", "rot")}.items()):
        for index, label in enumerate(classes):
            folder = top / name / label
            folder.mkdir(parents=True)
            for number in range(6):
                colour = (60 * index, 20 * number, 200 - 60 * index - 80 * shift)
                Image.new("RGB", (40, 40), colour).save(folder / f"{number}.png")
    return top


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", "unknown", "--in", str(data / "maps"), *OPTIONS, *arguments])


@pytest.mark.slow
def test_json_has_every_set_and_all_that_the_numbers_depend_on(data: Path) -> None:
    result = run(data, "--out", str(data / "leaves"), "--out", "same", "--false-rejects", "0.1", "--json")
    assert result.exit_code == 0, result.exception
    printed = json.loads(result.stdout)
    assert list(printed["out"]) == ["leaves", "same", "noise", "flat", "texture", "text", "drawing"]
    for row in printed["out"].values():
        assert 0 <= row["false_accepts"]["mean"] <= 1
        assert row["auroc"]["ci95"] >= 0
    assert (printed["in"], printed["method"], printed["asked_false_rejects"]) == ("maps", "frozen", 0.1)
    assert (printed["episodes"], printed["images"]) == (2, 4)
    assert set(printed["data_sha256"]) == {"in", "leaves"}
    assert printed["recipe"]["method"] == "frozen"


@pytest.mark.slow
def test_without_json_it_prints_a_table(data: Path) -> None:
    result = run(data, "--episodes", "1")
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith("# Unknown images")
    assert len(re.findall(r"^\| (noise|flat|texture|text|drawing) \|", result.stdout, re.MULTILINE)) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "zero-shot"), "a method that makes a model"),
        (("--method", "clip-lora:iterations=1"), "validation_folds=2"),
        (("--out", "same", "--way", "3"), "more than 3 classes"),
        (("--out", "same", "--out", "same"), "'same' twice"),
        (("--out", "/no/such.zip"), "/no/such.zip"),
    ],
)
def test_what_cannot_be_measured_is_refused(data: Path, arguments: tuple[str, ...], said: str) -> None:
    raised = run(data, *arguments).exception
    assert isinstance(raised, InputError)
    assert said in str(raised)
