"""The files of a map never take the place of a scene, a folder or a file that is not of the map."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.scenes import write_scene
from tests.vtt_core.scenes.test_scene_map import coloured, rgb_scene, run
from vtt_core.contract.errors import InputError
from vtt_core.scenes.map_files import ScenePaths, finished_together


@pytest.mark.parametrize("name", ["m.tif", "m.probabilities.tif", "m.png", "m.geojson"])
@pytest.mark.parametrize("way", ["itself", "symlink", "hardlink"])
def test_no_file_of_the_map_is_the_scene(tmp_path: Path, name: str, way: str) -> None:
    scene = rgb_scene(tmp_path / (name if way == "itself" else "scene.tif"), coloured())
    if way == "symlink":
        (tmp_path / name).symlink_to(scene)
    if way == "hardlink":
        (tmp_path / name).hardlink_to(scene)
    before, names = scene.read_bytes(), sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="the scene itself"):
        run(scene, tmp_path / "m.tif")
    assert (scene.read_bytes(), sorted(tmp_path.iterdir())) == (before, names)


@pytest.mark.parametrize("name", ["m.tif", "m.probabilities.tif", "m.png", "m.geojson"])
def test_a_folder_in_the_place_of_a_file_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    scene = rgb_scene(tmp_path / "scene.tif", coloured())
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="a folder"):
        run(scene, tmp_path / "m.tif")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", name}


def test_a_folder_that_appears_meanwhile_leaves_no_half_of_a_map(tmp_path: Path) -> None:
    paths = ScenePaths.of(tmp_path / "m.tif")
    with ExitStack() as stack:
        parts = stack.enter_context(finished_together(paths))
        for part in parts.each():
            part.write_bytes(b"x")
        paths.picture.mkdir()
        with pytest.raises(InputError, match="a folder"):
            stack.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    scene = rgb_scene(tmp_path / "scene.tif", coloured())
    with pytest.raises(InputError, match="too long"):
        run(scene, tmp_path / ("m" * 240 + ".tif"))


def test_a_geojson_that_the_map_does_not_write_is_left_and_named(tmp_path: Path) -> None:
    (tmp_path / "m.geojson").write_text("mine")
    report = run(write_scene(tmp_path / "s.tif", np.moveaxis(coloured(), -1, 0), crs=None), tmp_path / "m.tif")
    assert (tmp_path / "m.geojson").read_text() == "mine"
    assert "m.geojson was there before" in report.notices[1]
    assert tmp_path / "m.geojson" not in report.files


def test_a_map_on_another_disk_than_the_link_to_it_takes_the_place_of_the_link(tmp_path: Path) -> None:
    other = Path("/dev/shm") / tmp_path.name  # noqa: S108  # another disk
    other.mkdir()
    try:
        (other / "m.tif").write_bytes(b"x")
        (tmp_path / "m.tif").symlink_to(other / "m.tif")
        run(rgb_scene(tmp_path / "scene.tif", coloured()), tmp_path / "m.tif")
        assert not (tmp_path / "m.tif").is_symlink()
        assert (other / "m.tif").read_bytes() == b"x"
    finally:
        shutil.rmtree(other)
