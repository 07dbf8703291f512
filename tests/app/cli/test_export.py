from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from vtt_core.adapter.files import save_adapter
from vtt_core.adapter.strip import frozen_adapter
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import make_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    recipe = make_recipe("frozen", backbone_id="mini")
    save_adapter(frozen_adapter(load_backbone("mini"), ("river", "forest"), recipe, 0), folder)
    return folder


def test_an_export_says_what_it_wrote_and_how_well_it_agrees(adapter_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(cli, ["export", str(adapter_folder), "--format", "open_clip", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "same class for 100.0 % of 18 images" in result.stdout
    assert (out / "open_clip_model.safetensors").is_file()


def test_images_of_a_folder_are_compared_and_others_named(adapter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "river").mkdir(parents=True)
    Image.new("RGB", (60, 50), (10, 90, 200)).save(tmp_path / "images" / "river" / "a.png")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    options = ["--images", str(tmp_path / "images"), "--json"]
    command = ["export", str(adapter_folder), "--format", "adapter", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, [*command, *options])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["load_seconds"] > 0
    assert report["agreement"] == {"num_images": 1, "largest_logit_difference": 0.0, "same_top1": 1.0}
    assert report["size_bytes"] == sum(report["files"].values())
    assert "notes.txt" in result.stderr


def test_a_place_that_cannot_be_written_to_is_refused(adapter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    command = ["export", str(adapter_folder), "--format", "adapter", "--out", str(tmp_path / "file" / "out")]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, InputError)
    assert "Choose another folder" in str(result.exception)


def test_a_folder_without_images_is_refused(adapter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = ["export", str(adapter_folder), "--format", "adapter", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, [*command, "--images", str(tmp_path / "empty")])
    assert isinstance(result.exception, InputError)
    assert "without one that can be read" in str(result.exception)


@pytest.mark.parametrize("options", [[], ["--format", "onnx"], ["--out", "folder"]])
def test_half_of_what_is_needed_is_refused(adapter_folder: Path, options: list[str]) -> None:
    result = CliRunner().invoke(cli, ["export", str(adapter_folder), *options])
    assert isinstance(result.exception, InputError)
    assert result.exception.got == (options[0] if options else "none of them")
