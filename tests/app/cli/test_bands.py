"""Images of many bands are adapted to, predicted and mapped in the bands that were chosen once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from app.cli.bands import in_bands
from app.cli.main import cli
from app.cli.selection import select_images, survey_images
from app.cli.synthetic_images import PAINTERS, make_image
from tests.fixtures.noise_images import good
from tests.fixtures.scenes import four_bands, write_scene
from vtt_core.contract.bands import BandWish
from vtt_core.contract.errors import BandsError, EmptyClassError, NotAnImageError
from vtt_core.ingest.band_images import measure_support
from vtt_core.ingest.decode import decode_image

LABELS = tuple(PAINTERS)[:2]
WISH = BandWish((4, 3, 2), 0, 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 4-band TIFFs whose bands 4, 3, 2 are drawn images; band 1 is noise."""
    for label in LABELS:
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(4):
            image = np.asarray(make_image(label, random.Random(f"{label}/{number}")).resize((48, 48)))
            write_scene(tmp_path / "set" / label / f"{number}.tif", four_bands(image))
    return tmp_path / "set"


def test_black_and_white_are_those_of_all_support_images_and_the_images_are_shown_so(folder: Path) -> None:
    selection = survey_images(folder, shot=3, query=1, bands=WISH.bands).selection()
    choice = measure_support(selection.support_set, WISH)
    support = [image for known in selection.support_set.classes for image in known.images]
    values = np.concatenate([rasterio.open(folder / image.name).read((4, 3, 2)).reshape(3, -1) for image in support], axis=1)
    assert choice.black == tuple(map(float, values.min(axis=1)))
    assert choice.white == tuple(map(float, values.max(axis=1)))
    shown = in_bands(selection, choice)
    (first, *_), (original, *_) = shown.support_set.classes[0].images, selection.support_set.classes[0].images
    assert first.encoded.startswith(b"\x89PNG")
    assert decode_image(first.encoded).tobytes() == decode_image(original.encoded, bands=choice).tobytes()
    assert shown.query_images[0].image.encoded.startswith(b"\x89PNG")


def test_images_of_other_formats_are_left_out_by_name(folder: Path) -> None:
    (folder / LABELS[0] / "9.png").write_bytes(good())
    survey = survey_images(folder, shot=None, query=0, bands=WISH.bands)
    ((left_out),) = survey.left_out
    assert left_out.name.endswith("9.png")
    assert isinstance(left_out.error, NotAnImageError)


def test_without_bands_such_images_cannot_be_used(folder: Path) -> None:
    with pytest.raises(EmptyClassError, match="unsupported kind of image"):
        select_images(folder, shot=None, query=0)


@pytest.mark.slow
def test_prediction_and_map_use_the_bands_of_the_adapter(folder: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "adapter", CliRunner()
    command = ["adapt", str(folder), "--out", str(out), "--method", "frozen", "--shot", "3", "--query", "1", "--bands", "4,3,2"]
    done = run.invoke(cli, [*command, "--stretch", "1,99", "--json"])
    assert done.exit_code == 0, done.output
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["format_version"], manifest["bands"]["bands"]) == (3, [4, 3, 2])
    files = [str(folder / label / "3.tif") for label in LABELS]
    inspected = run.invoke(cli, ["inspect", str(folder), "--bands", "4,3,2", "--json"])
    assert json.loads(inspected.stdout)["num_images"] == 8
    predicted = run.invoke(cli, ["predict", str(out), *files, "--json"])
    assert predicted.exit_code == 0, predicted.output
    assert [next(iter(one["probabilities"])) for one in json.loads(predicted.stdout)["predictions"]] == list(LABELS)
    evaluated = run.invoke(cli, ["evaluate", str(out), str(folder), "--json"])
    assert json.loads(evaluated.stdout)["accuracy"]["accuracy"] == 1
    pair = np.concatenate([rasterio.open(file).read() for file in files], axis=2)
    scene, map_file = write_scene(tmp_path / "scene.tif", pair), tmp_path / "map.tif"
    mapped = run.invoke(cli, ["predict", str(out), str(scene), "--tile", "48", "--stride", "48", "--out", str(map_file)])
    assert mapped.exit_code == 0, mapped.output
    with rasterio.open(tmp_path / "map.probabilities.tif") as found:
        ((left, right),) = found.read().argmax(axis=0).tolist()
        assert (found.descriptions[left], found.descriptions[right]) == LABELS


def test_bands_that_make_no_sense_end_the_command(folder: Path) -> None:
    refused = CliRunner().invoke(cli, ["inspect", str(folder), "--bands", "4,3"])
    assert refused.exit_code != 0
    assert isinstance(refused.exception, BandsError)
