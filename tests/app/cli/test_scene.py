"""A scene is classified into a map by `vtt predict --tile`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.scene import run_scene
from app.cli.synthetic_images import PAINTERS, make_image
from tests.fixtures.noise_images import encode
from tests.fixtures.scenes import write_scene
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import save_adapter
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.serving import AnswerOptions
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

LABELS = tuple(PAINTERS)[:2]
SIDE = 48


def drawn(label: str, number: int) -> NDArray[np.uint8]:
    return np.asarray(make_image(label, random.Random(f"{label}/{number}")).resize((SIDE, SIDE)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of two classes, and a scene of one on the left and the other on the right."""
    folder = tmp_path_factory.mktemp("scene")
    images = {label: [encode(Image.fromarray(drawn(label, n)), "PNG") for n in range(5)] for label in LABELS}
    classes = tuple(SupportClass(label, tuple(SupportImage("x.png", image) for image in images[label])) for label in LABELS)
    backbone = load_backbone("mini", device="cpu")
    adapted = Adaptation(backbone, SupportSet(classes), make_recipe("frozen"), 1).finish()
    save_adapter(adapted.adapter, folder / "adapter")
    numbers = np.arange(10, 18).reshape(2, 4)
    rows = [np.concatenate([drawn(LABELS[place // 2], n) for place, n in enumerate(row)], axis=1) for row in numbers]
    write_scene(folder / "scene.tif", np.moveaxis(np.concatenate(rows), -1, 0), photometric="RGB")
    return folder


def command(folder: Path, out: Path, *options: str) -> list[str]:
    return ["predict", str(folder / "adapter"), str(folder / "scene.tif"), "--tile", str(SIDE), "--out", str(out), *options]


@pytest.mark.slow
def test_each_half_of_the_map_has_its_class(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, command(folder, tmp_path / "map.tif", "--stride", str(SIDE), "--json"))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["width"], report["height"], report["num_tiles"]) == (4, 2, 8)
    with rasterio.open(tmp_path / "map.probabilities.tif") as found:
        likeliest = found.read().argmax(axis=0)
        assert found.descriptions == LABELS
    assert (likeliest == [0, 0, 1, 1]).mean() >= 7 / 8
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", "map.probabilities.tif", "map.png", "map.geojson"}


@pytest.mark.slow
def test_the_text_names_shares_and_files(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, command(folder, tmp_path / "map.tif"))
    assert result.exit_code == 0, result.output
    assert "map.geojson" in result.stdout
    assert f"% {LABELS[0]}" in result.stdout
    assert "map      8 x 4 cells of 21 tiles" in result.stdout


@pytest.mark.parametrize(
    "options", [["--tile", "48"], ["--out", "map.tif"], ["--stride", "8"], ["scene.tif", "--tile", "48", "--out", "map.tif"]]
)
def test_a_map_needs_a_tile_a_file_and_one_scene(options: list[str]) -> None:
    result = CliRunner().invoke(cli, ["predict", "adapter", "scene.tif", *options])
    assert isinstance(result.exception, InputError)
    assert "--tile" in result.exception.expected
    assert result.exception.got.startswith(options[-2] if len(options) == 2 else "--tile, --out and 2 images")


@pytest.mark.parametrize("out", ["scene.tif", "map.png"])
def test_the_map_is_another_tif(tmp_path: Path, out: str) -> None:
    (tmp_path / "scene.tif").write_bytes(b"scene")
    with pytest.raises(InputError, match="--out"):
        run_scene(
            tmp_path / "adapter",
            tmp_path / "scene.tif",
            tile=SIDE,
            stride=None,
            out=tmp_path / out,
            device="cpu",
            options=AnswerOptions(),
        )
    assert (tmp_path / "scene.tif").read_bytes() == b"scene"
