"""Tiles cover the whole scene, and each cell of the map is the mean of the tiles over its centre."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtt_core.contract.errors import InputError
from vtt_core.scenes.grid import Axis, CellSums, scene_axes


@given(st.integers(8, 300), st.integers(8, 64), st.integers(1, 64))
def test_every_cell_has_its_centre_in_a_tile_and_no_tile_leaves_the_scene(length: int, tile: int, stride: int) -> None:
    if tile > length or stride > tile:
        return
    axis = Axis(length, tile, stride)
    covered = np.stack([axis.covered(start) for start in axis.starts])
    assert covered.any(axis=0).all()
    assert axis.starts[0] == 0
    assert axis.starts[-1] + tile == length
    assert (axis.num_cells - 1) * stride < length <= axis.num_cells * stride


def test_a_cell_is_the_mean_of_its_tiles() -> None:
    across, down = Axis(30, 20, 10), Axis(10, 10, 10)
    sums = CellSums(across, down)
    sums.add(0, np.array([[1.0], [3.0]]), np.array([True, True]))
    ((row, means),) = sums.finished(math.inf)
    assert row == 0
    assert means[:, 0].tolist() == [1, 2, 3]


def test_a_tile_without_data_does_not_count_and_a_cell_of_such_tiles_has_no_value() -> None:
    across, down = Axis(30, 20, 10), Axis(10, 10, 10)
    sums = CellSums(across, down)
    sums.add(0, np.array([[1.0], [3.0]]), np.array([True, False]))
    ((_, means),) = sums.finished(math.inf)
    assert means[:2, 0].tolist() == [1, 1]
    assert math.isnan(means[2, 0])


def test_rows_are_given_back_once_no_later_tile_covers_them() -> None:
    across, down = Axis(10, 10, 10), Axis(40, 20, 10)
    sums, seen = CellSums(across, down), []
    for place, top in enumerate(down.starts):
        sums.add(top, np.array([[float(top)]]), np.array([True]))
        is_last = place + 1 == len(down.starts)
        seen.append([row for row, _ in sums.finished(math.inf if is_last else down.starts[place + 1])])
    assert seen == [[0], [1], [2, 3]]


@pytest.mark.parametrize(
    ("width", "tile", "stride", "option"), [(100, 10, 11, "--stride"), (5, 10, 5, "--tile"), (10_000, 10, 1, "--stride")]
)
def test_what_does_not_fit_names_the_option(width: int, tile: int, stride: int, option: str) -> None:
    with pytest.raises(InputError, match=option):
        scene_axes(width, 10_000, tile, stride)
