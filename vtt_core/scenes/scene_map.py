"""Classify a scene tile by tile, and write the map.

STEP 1 read      a row of tiles, as colours
STEP 2 classify  the tiles of the row that have data
STEP 3 sum up    each cell of the map takes the mean of the tiles that cover its centre
STEP 4 write     finished rows of cells, into a map of classes and one of probabilities
STEP 5 draw      a PNG, and outlines of the classes as GeoJSON

Shapes: N tiles in a row, M cells in a row, C classes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtt_core.scenes.grid import Axis, CellSums, scene_axes
from vtt_core.scenes.map_files import ScenePaths, finished_together
from vtt_core.scenes.outlines import write_outlines
from vtt_core.scenes.palette import NONE_OF_THESE, draw_map, palette_of
from vtt_core.scenes.scene_file import SceneFile

NO_DATA = 0
"""Index of cells without data. Classes follow from 1, and `none of these` is last."""
Classify = Callable[[Iterator[Image.Image]], tuple[NDArray[np.float64], NDArray[np.bool_]]]
"""Returns the probabilities [N, C] of some tiles, and which show none of the classes [N]."""


@dataclass(frozen=True)
class SceneReport:
    """What was found."""

    width: int
    """Cells of the map in a row."""
    height: int
    shares: dict[str, float]
    """Share of the cells with data, by class; `none of these` last."""
    num_tiles: int
    """Tiles that were classified."""
    files: tuple[Path, ...]
    notices: tuple[str, ...]


def map_scene(
    scene: SceneFile,
    labels: Sequence[str],
    classify: Classify,
    out: Path,
    *,
    tile: int,
    stride: int,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> SceneReport:
    """Classify a scene and write its map. Nothing is written if something fails.

    Args:
        scene: open.
        labels: of the classes.
        classify: what the tiles are.
        out: the map of classes; the other files are beside it.
        tile: side of a tile, in pixels.
        stride: distance of tiles, in pixels.
        show: called with the number of finished rows of tiles and of all.

    Raises:
        InputError: tile and stride do not fit the scene, or the folder cannot be written to.
    """
    across, down = scene_axes(scene.width, scene.height, tile, stride)
    scene.check_tile_rows(tile)
    shape = (down.num_cells, across.num_cells)
    classes, best, num_tiles = np.zeros(shape, np.uint8), np.zeros(shape, np.float32), 0
    paths = ScenePaths.of(out)
    paths.check(scene.path)
    with finished_together(paths) as parts:
        with _Rasters(scene, labels, across, down, parts) as rasters:
            for row, means_MK, counted in _rows_of_cells(scene, across, down, classify, show):
                num_tiles += counted
                classes[row], best[row] = rasters.write(row, means_MK)
        names = [*labels, NONE_OF_THESE]
        draw_map(classes, len(labels), parts.picture)
        why_not = write_outlines(classes, best, names, scene.crs, _cell_transform(scene, stride), parts.outlines)
    num_data = int((classes != NO_DATA).sum())
    shares = {name: float((classes == index).sum() / max(1, num_data)) for index, name in enumerate(names, start=1)}
    written = tuple(path for path in paths.each() if path != paths.outlines or why_not is None)
    notices = [] if why_not is None else [why_not]
    if why_not is not None and paths.outlines.exists():
        notices.append(f"{paths.outlines} was there before. It was left, and is not of this map.")
    if not num_data:
        notices.append("The scene has no data, so no cell has a class.")
    return SceneReport(across.num_cells, down.num_cells, shares, num_tiles, written, tuple(notices))


def _rows_of_cells(
    scene: SceneFile, across: Axis, down: Axis, classify: Classify, show: Callable[[int, int], None]
) -> Iterator[tuple[int, NDArray[np.float64], int]]:
    """Yield each row of cells once: its number, means_MK without those of empty cells, and tiles classified since the last."""
    sums, has_data = CellSums(across, down), np.zeros((down.num_cells, across.num_cells), bool)
    counted = 0
    for place, top in enumerate(down.starts):
        colours, valid = scene.read_rows(top, down.tile)
        _note_data(has_data, valid, top, across, down)
        numbers, with_data = _classify_row(colours, valid, across, classify)
        counted += int(with_data.sum())
        if numbers is not None:
            sums.add(top, numbers, with_data)
        is_last = place + 1 == len(down.starts)
        for row, means_MK in sums.finished(math.inf if is_last else down.starts[place + 1]):
            means_MK[~has_data[row]] = np.nan
            yield row, means_MK, counted
            counted = 0
        show(place + 1, len(down.starts))


def _note_data(has_data: NDArray[np.bool_], valid: NDArray[np.bool_], top: int, across: Axis, down: Axis) -> None:
    columns = np.arange(0, across.length, across.stride)
    for row in range(top // down.stride, min(down.num_cells, -(-(top + down.tile) // down.stride))):
        rows = valid[max(0, row * down.stride - top) : (row + 1) * down.stride - top]
        if len(rows):
            has_data[row] |= np.logical_or.reduceat(rows.any(axis=0), columns)


def _classify_row(
    colours: NDArray[np.uint8], valid: NDArray[np.bool_], across: Axis, classify: Classify
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Return numbers_NK of a row of tiles: the probabilities, and 1 for none of the classes; and which tiles have data."""
    pieces = [slice(start, start + across.tile) for start in across.starts]
    with_data = np.array([valid[:, piece].any() for piece in pieces])
    if not with_data.any():
        return None, with_data
    chosen = (
        Image.fromarray(np.ascontiguousarray(colours[:, piece])) for piece, has in zip(pieces, with_data, strict=True) if has
    )
    probabilities, is_none = classify(chosen)
    numbers = np.zeros((len(pieces), probabilities.shape[1] + 1))
    numbers[with_data] = np.concatenate([probabilities, is_none[:, np.newaxis]], axis=1)
    return numbers, with_data


def _cell_transform(scene: SceneFile, stride: int) -> Any:
    a, b, c, d, e, f = tuple(scene.transform)[:6]
    return type(scene.transform)(a * stride, b * stride, c, d * stride, e * stride, f)


class _Rasters:
    """The two GeoTIFFs, written a row of cells at a time."""

    def __init__(self, scene: SceneFile, labels: Sequence[str], across: Axis, down: Axis, paths: ScenePaths) -> None:
        self._labels = list(labels)
        self._shape: dict[str, Any] = {
            "driver": "GTiff",
            "width": across.num_cells,
            "height": down.num_cells,
            "crs": scene.crs,
            "transform": _cell_transform(scene, across.stride),
            "compress": "deflate",
            "BIGTIFF": "IF_SAFER",
        }
        self._paths = paths
        self._stack = ExitStack()

    def __enter__(self) -> _Rasters:
        import rasterio  # noqa: PLC0415  # optional

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            self._classes = self._stack.enter_context(
                rasterio.open(self._paths.classes, "w", count=1, dtype="uint8", nodata=NO_DATA, **self._shape)
            )
            self._probabilities = self._stack.enter_context(
                rasterio.open(
                    self._paths.probabilities,
                    "w",
                    count=len(self._labels),
                    dtype="float32",
                    nodata=math.nan,
                    interleave="band",
                    **self._shape,
                )
            )
        names = [*self._labels, NONE_OF_THESE]
        self._classes.write_colormap(1, palette_of(len(self._labels)))
        self._classes.update_tags(1, **{f"CLASS_{index}": name for index, name in enumerate(names, start=1)})
        self._classes.set_band_description(1, "class")
        for index, label in enumerate(self._labels, start=1):
            self._probabilities.set_band_description(index, label)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, row: int, means_MK: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Write one row of cells; return its classes, and the probability of each cell's likeliest class."""
        probabilities, none_share = means_MK[:, :-1], means_MK[:, -1]
        has_data = np.isfinite(none_share)
        classes = np.where(has_data, 1 + np.nan_to_num(probabilities).argmax(axis=1), NO_DATA)
        classes = np.where(has_data & (none_share > 0.5), len(self._labels) + 1, classes).astype(np.uint8)
        window = ((row, row + 1), (0, len(classes)))
        self._classes.write(classes[np.newaxis], 1, window=window)
        self._probabilities.write(probabilities.T[:, np.newaxis].astype(np.float32), window=window)
        return classes, np.nan_to_num(probabilities).max(axis=1).astype(np.float32)
