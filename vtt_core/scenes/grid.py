"""Where the tiles of a scene lie, and which cells of the map each tile covers.

A cell of the map is a square of `stride` pixels. It takes the mean of all tiles that cover its centre.

Shapes: N tiles in a row, M cells in a row, K numbers of each tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vtt_core.contract.errors import InputError

MAX_CELLS = 25_000_000
"""Cells of a map. Its classes are in memory at the end, to be drawn and outlined."""


@dataclass(frozen=True)
class Axis:
    """One direction of a scene."""

    length: int
    """In pixels."""
    tile: int
    """Side of a tile, in pixels."""
    stride: int
    """Distance of tiles, and side of a cell, in pixels."""

    @property
    def num_cells(self) -> int:
        """Return the number of cells. The last one may reach beyond the scene."""
        return -(-self.length // self.stride)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Return the first pixel of each tile. The last tile ends where the scene ends."""
        regular = range(0, self.length - self.tile + 1, self.stride)
        last = self.length - self.tile
        return (*regular, *([last] if regular[-1] != last else []))

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """Return the centre of each cell, within the scene."""
        return np.asarray(np.minimum((np.arange(self.num_cells) + 0.5) * self.stride, self.length - 0.5))

    def covered(self, start: int) -> NDArray[np.bool_]:
        """Return which cells have their centre in the tile that starts here."""
        return (self.centres >= start) & (self.centres < start + self.tile)


def scene_axes(width: int, height: int, tile: int, stride: int) -> tuple[Axis, Axis]:
    """Return the axes along the width and along the height.

    Raises:
        InputError: the scene is smaller than a tile, tiles leave gaps, or there would be too many cells.
    """
    if stride > tile:
        raise InputError(
            expected="a stride of at most one tile", got=f"{stride} for tiles of {tile}", remedy="Choose a smaller --stride"
        )
    if min(width, height) < tile:
        raise InputError(
            expected=f"a scene of at least one tile of {tile} x {tile} pixels",
            got=f"{width} x {height} pixels",
            remedy="Choose a smaller --tile, or leave it out to classify the image as a whole",
        )
    across, down = Axis(width, tile, stride), Axis(height, tile, stride)
    if across.num_cells * down.num_cells > MAX_CELLS:
        raise InputError(
            expected=f"a map of at most {MAX_CELLS} cells",
            got=f"{across.num_cells} x {down.num_cells}",
            remedy="Choose a larger --stride",
        )
    return across, down


class CellSums:
    """Adds up the numbers of tiles, and gives back the means of each row of cells once no later tile covers it.

    Args:
        across: axis along the width.
        down: axis along the height.
    """

    def __init__(self, across: Axis, down: Axis) -> None:
        self._down = down
        self._covered_NM = np.stack([across.covered(start) for start in across.starts]).astype(np.float64)
        self._sums: dict[int, NDArray[np.float64]] = {}

    def add(self, top: int, numbers_NK: NDArray[np.float64], has_data_N: NDArray[np.bool_]) -> None:
        """Add a row of tiles.

        Args:
            top: its first row of pixels.
            numbers_NK: of each tile.
            has_data_N: which tiles count.
        """
        weighted = np.concatenate([numbers_NK, np.ones((len(numbers_NK), 1))], axis=1) * has_data_N[:, np.newaxis]
        sums_MK = self._covered_NM.T @ weighted
        for row in np.flatnonzero(self._down.covered(top)):
            self._sums[int(row)] = self._sums.get(int(row), 0) + sums_MK

    def finished(self, next_top: float) -> list[tuple[int, NDArray[np.float64]]]:
        """Return and forget the rows above the next tile: their number, and means_MK. Cells without data are NaN."""
        rows = [row for row in sorted(self._sums) if self._down.centres[row] < next_top]
        sums = [self._sums.pop(row) for row in rows]
        with np.errstate(invalid="ignore"):
            return [
                (row, one[:, :-1] / np.where(one[:, -1:] > 0, one[:, -1:], np.nan)) for row, one in zip(rows, sums, strict=True)
            ]
