"""GeoJSON holds longitudes and latitudes, or is not written and the report says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from tests.vtt_core.scenes.test_scene_map import coloured, rgb_scene, run
from vtt_core.scenes.outlines import write_outlines


def polygons(path: Path) -> list[list[list[list[float]]]]:
    """All polygons of a file, those of several parts taken apart."""
    found = []
    for feature in json.loads(path.read_text())["features"]:
        geometry: dict[str, Any] = feature["geometry"]
        found += [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return found


def outlined(tmp_path: Path, classes: list[list[int]], crs: str, transform: Affine) -> list[tuple[int, list[list[float]]]]:
    """Class and bounding box of each patch."""
    grid = np.array(classes, np.uint8)
    path = tmp_path / "x.geojson"
    assert write_outlines(grid, np.ones(grid.shape, np.float32), ["a", "b"], CRS.from_string(crs), transform, path) is None
    features = json.loads(path.read_text())["features"]
    rings = [(one["properties"]["index"], np.array(one["geometry"]["coordinates"][0])) for one in features]
    return [(index, [*ring.min(axis=0), *ring.max(axis=0)]) for index, ring in rings]


@pytest.mark.parametrize(
    "profile",
    [
        {"crs": CRS.from_wkt('LOCAL_CS["x",UNIT["m",1]]')},
        {"transform": from_origin(1e30, 1e30, 10, 10)},
        {"transform": Affine(0, 0, 5e5, 0, 0, 5e6)},
        {"crs": "EPSG:4326", "transform": from_origin(1e30, 10, 1, 1)},
        {"crs": "EPSG:4326", "transform": Affine(1, 1, 170, 1, -1, 10)},
    ],
    ids=["local system", "far away", "no size", "far away in degrees", "turned beyond 180 degrees"],
)
def test_a_map_without_a_place_on_earth_has_no_geojson_and_says_so(tmp_path: Path, profile: dict[str, Any]) -> None:
    report = run(rgb_scene(tmp_path / "s.tif", coloured(), **profile), tmp_path / "m.tif")
    assert "no GeoJSON was written" in report.notices[0]
    assert {path.name for path in tmp_path.iterdir()} == {"s.tif", "m.tif", "m.probabilities.tif", "m.png"}


def test_a_scene_on_both_sides_of_the_antimeridian_is_cut_there(tmp_path: Path) -> None:
    place = from_origin(150_000, 5_000_000, 3000, 3000)
    run(rgb_scene(tmp_path / "s.tif", coloured(), crs="EPSG:32601", transform=place), tmp_path / "m.tif")
    found = polygons(tmp_path / "m.geojson")
    widths = [np.ptp([x for x, _ in rings[0]]) for rings in found]
    assert max(widths) < 5
    assert {-180.0, 180.0} <= {x for rings in found for x, _ in rings[0]}


def test_degrees_beyond_180_and_90_are_cut_and_turned(tmp_path: Path) -> None:
    # The cell of class 2 lies from 160 to 200 degrees east, and from 70 to 110 degrees north.
    assert outlined(tmp_path, [[2, 1]], "EPSG:4326", from_origin(160, 110, 40, 40)) == [
        (2, [160, 70, 180, 90]),
        (2, [-180, 70, -160, 90]),
        (1, [-160, 70, -120, 90]),
    ]


def test_a_map_from_0_to_360_degrees_shows_the_west_as_west(tmp_path: Path) -> None:
    assert outlined(tmp_path, [[1, 2], [1, 2]], "EPSG:4326", from_origin(0, 90, 180, 90)) == [
        (1, [0, -90, 180, 90]),
        (2, [-180, -90, 0, 90]),
    ]


def test_a_scene_without_data_says_so(tmp_path: Path) -> None:
    report = run(rgb_scene(tmp_path / "s.tif", coloured() * 0, nodata=0), tmp_path / "m.tif")
    assert report.notices == ("The scene has no data, so no cell has a class.",)
