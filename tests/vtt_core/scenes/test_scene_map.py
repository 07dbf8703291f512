"""A map has the corners of its scene, the right classes in the right places, and files that other programs read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.warp import transform

from tests.fixtures.scenes import CRS, TRANSFORM, four_bands, write_scene
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import (
    FormatPackageMissingError,
    ImageTooComplexError,
    InputError,
    NotAnImageError,
    TruncatedImageError,
    UnsupportedKindError,
)
from vtt_core.scenes import scene_file
from vtt_core.scenes.palette import palette_of
from vtt_core.scenes.scene_file import open_scene
from vtt_core.scenes.scene_map import SceneReport, map_scene

LABELS = ("red", "green", "blue")
CHOICE = BandChoice((4, 3, 2), (100, 100, 100), (4180, 4180, 4180))
Answers = tuple[NDArray[np.float64], NDArray[np.bool_]]


def by_colour(images: Iterator[Image.Image]) -> Answers:
    """Takes the share of each colour for its probability; a grey tile is none of the classes."""
    means = np.array([np.asarray(image, dtype=np.float64).mean(axis=(0, 1)) + 1e-6 for image in images])
    return means / means.sum(axis=1, keepdims=True), np.ptp(means, axis=1) < 1


def coloured() -> NDArray[np.uint8]:
    """96 x 64 pixels: red on the left, green on the upper right, blue below it."""
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :48, 0] = 200
    colours[:32, 48:, 1] = 200
    colours[32:, 48:, 2] = 200
    return colours


def rgb_scene(path: Path, colours: NDArray[np.uint8], **profile: object) -> Path:
    return write_scene(path, np.moveaxis(colours, -1, 0), photometric="RGB", **profile)


def run(scene: Path, out: Path, choice: BandChoice | None = None, tile: int = 16, stride: int = 16) -> SceneReport:
    with open_scene(scene, choice) as source:
        return map_scene(source, LABELS, by_colour, out, tile=tile, stride=stride)


@pytest.mark.parametrize("is_wide", [False, True], ids=["8-bit RGB", "4 bands of 16 bits"])
@pytest.mark.parametrize("stride", [8, 16])
def test_classes_and_corners_are_right(tmp_path: Path, is_wide: bool, stride: int) -> None:
    path = tmp_path / "scene.tif"
    scene = write_scene(path, four_bands(coloured())) if is_wide else rgb_scene(path, coloured())
    report = run(scene, tmp_path / "map.tif", CHOICE if is_wide else None, stride=stride)
    with rasterio.open(tmp_path / "map.tif") as found, rasterio.open(scene) as original:
        classes = found.read(1)
        assert found.crs == original.crs
        assert found.bounds == original.bounds
        assert found.nodata == 0
        assert found.res == (10 * stride, 10 * stride)
        assert found.colormap(1)[2] == palette_of(3)[2]
        assert found.tags(1)["CLASS_2"] == "green"
    middle = 48 // stride
    assert (classes[:, : middle - 1] == 1).all()
    assert (classes[: 32 // stride - 1, middle + 1 :] == 2).all()
    assert (classes[32 // stride + 1 :, middle + 1 :] == 3).all()
    with rasterio.open(tmp_path / "map.probabilities.tif") as found:
        assert found.descriptions == LABELS
        assert found.read(1)[0, 0] == pytest.approx(1, abs=1e-5)
        assert np.allclose(found.read().sum(axis=0), 1, atol=1e-5)
    assert report.shares["red"] == pytest.approx(0.5, abs=0.1)


def test_the_outlines_are_where_the_classes_are_in_longitude_and_latitude(tmp_path: Path) -> None:
    run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "map.tif")
    features = {one["properties"]["class"]: one for one in json.loads((tmp_path / "map.geojson").read_text())["features"]}
    assert set(features) == set(LABELS)
    assert features["red"]["properties"]["probability"] == pytest.approx(1, abs=1e-3)
    ring = np.array(features["red"]["geometry"]["coordinates"][0])
    left, top = TRANSFORM.c, TRANSFORM.f
    (longitude,), (latitude,) = transform(CRS, "EPSG:4326", [left], [top])
    assert np.abs(ring - [longitude, latitude]).sum(axis=1).min() < 1e-6
    area = (ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]).sum()
    assert area > 0  # counter-clockwise


def test_the_picture_has_the_colours_of_the_classes(tmp_path: Path) -> None:
    run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "map.tif")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.getpixel((0, 0)) == palette_of(3)[1]
        assert picture.getpixel((picture.width - 1, picture.height - 1)) == palette_of(3)[3]


def test_cells_without_data_have_no_class(tmp_path: Path) -> None:
    values = four_bands(coloured())
    values[:, :, :32] = 0
    run(write_scene(tmp_path / "scene.tif", values, nodata=0), tmp_path / "map.tif", CHOICE)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert (found.read(1)[:, :2] == 0).all()
        assert (found.read(1)[:, 2:] > 0).all()


def test_a_scene_without_any_data_is_an_empty_map(tmp_path: Path) -> None:
    report = run(write_scene(tmp_path / "scene.tif", np.zeros((4, 32, 32), "u2"), nodata=0), tmp_path / "map.tif", CHOICE)
    assert report.num_tiles == 0
    with rasterio.open(tmp_path / "map.tif") as found:
        assert not found.read(1).any()
    assert json.loads((tmp_path / "map.geojson").read_text())["features"] == []


def test_what_is_none_of_the_classes_has_an_index_of_its_own(tmp_path: Path) -> None:
    report = run(rgb_scene(tmp_path / "scene.tif", np.full((32, 32, 3), 90, np.uint8)), tmp_path / "map.tif")
    assert report.shares["none of these"] == 1
    with rasterio.open(tmp_path / "map.tif") as found:
        assert (found.read(1) == 4).all()


def test_the_last_tiles_reach_the_edge_of_a_scene_of_odd_size(tmp_path: Path) -> None:
    run(rgb_scene(tmp_path / "scene.tif", coloured()[:50, :70]), tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.shape == (4, 5)
        assert (found.read(1) > 0).all()
        assert (found.bounds.left, found.bounds.top) == (500_000, 5_000_000)


def test_a_scene_is_read_a_row_of_tiles_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_rows, most = scene_file.SceneFile.read_rows, []

    def counted(self: scene_file.SceneFile, top: int, num_rows: int) -> object:
        most.append(num_rows)
        return read_rows(self, top, num_rows)

    monkeypatch.setattr(scene_file.SceneFile, "read_rows", counted)
    run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "map.tif")
    assert most == [16] * 4


def test_without_a_coordinate_system_there_is_a_map_and_a_notice(tmp_path: Path) -> None:
    scene = tmp_path / "scene.tif"
    Image.fromarray(coloured()).save(scene)
    report = run(scene, tmp_path / "map.tif")
    assert "no GeoJSON" in report.notices[0]
    assert not (tmp_path / "map.geojson").exists()
    assert [path.name for path in report.files] == ["map.tif", "map.probabilities.tif", "map.png"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    scene = rgb_scene(tmp_path / "scene.tif", coloured())
    with open_scene(scene, None) as source, pytest.raises(ZeroDivisionError):
        map_scene(source, LABELS, lambda images: 1 // 0, tmp_path / "map.tif", tile=16, stride=16)  # type: ignore[arg-type, return-value]
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


class TestRefused:
    def test_bands_that_nobody_chose(self, tmp_path: Path) -> None:
        scene = write_scene(tmp_path / "scene.tif", four_bands(coloured()))
        with pytest.raises(UnsupportedKindError, match=r"4 bands of uint16.*vtt adapt --bands"):
            run(scene, tmp_path / "map.tif")

    def test_bands_that_the_scene_lacks(self, tmp_path: Path) -> None:
        scene = rgb_scene(tmp_path / "scene.tif", coloured())
        with pytest.raises(UnsupportedKindError, match="bands 4, 3, 2"):
            run(scene, tmp_path / "map.tif", CHOICE)

    def test_other_files(self, tmp_path: Path) -> None:
        scene = tmp_path / "scene.tif"
        Image.fromarray(coloured()).save(scene, "PNG")
        with pytest.raises(NotAnImageError):
            run(scene, tmp_path / "map.tif")

    def test_a_damaged_file(self, tmp_path: Path) -> None:
        scene = rgb_scene(
            tmp_path / "scene.tif", np.random.default_rng(0).integers(0, 255, (64, 96, 3), "u1"), compress="deflate"
        )
        scene.write_bytes(scene.read_bytes()[:6000])
        with pytest.raises((TruncatedImageError, NotAnImageError)):
            run(scene, tmp_path / "map.tif")

    def test_one_strip_of_a_gigabyte(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scene_file, "MAX_ROW_BYTES", 1000)
        with pytest.raises(ImageTooComplexError, match="TILED=YES"):
            run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "map.tif")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--out"):
            run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "missing" / "map.tif")

    def test_a_missing_package_by_its_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "rasterio", None)
        with pytest.raises(FormatPackageMissingError, match=r"'\.\[remote-sensing\]'"):
            run(tmp_path / "scene.tif", tmp_path / "map.tif")


def test_a_scene_of_palette_numbers_or_ink_is_refused(tmp_path: Path) -> None:
    inks = write_scene(tmp_path / "ink.tif", np.zeros((4, 64, 64), np.uint8), photometric="CMYK")
    palette = write_scene(tmp_path / "palette.tif", np.zeros((1, 64, 64), np.uint8))
    with rasterio.open(palette, "r+") as file:
        file.write_colormap(1, {0: (255, 0, 0, 255)})
    choice = BandChoice((1, 1, 1), (0, 0, 0), (9, 9, 9))
    for scene, bands in ((inks, choice), (palette, choice), (palette, None)):
        with pytest.raises(UnsupportedKindError, match="Convert it to RGB"):
            run(scene, tmp_path / "m.tif", bands)
