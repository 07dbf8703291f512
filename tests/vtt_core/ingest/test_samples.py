"""Samples become 8 bits. Missing pixels are black and do not affect the scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.fixtures.pictures import known_grey
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.brightness import Numbers
from vtt_core.ingest.samples import Samples, blocks_of, eight_bits

FLOATS = known_grey().astype(np.float32) / 255


def samples(values: NDArray[Any], numbers: Numbers = Numbers.FLOAT, **others: Any) -> Samples:
    """Return samples that are given in blocks of 5 rows."""
    height, width, _ = values.shape

    def blocks() -> Any:
        return ((top, values[top : top + 5]) for top in range(0, height, 5))

    return Samples(width, height, numbers, 8 * values.itemsize, 1, blocks, **others)


def decoded(values: NDArray[Any], numbers: Numbers = Numbers.FLOAT, **others: Any) -> NDArray[np.uint8]:
    return np.asarray(eight_bits(samples(values, numbers, **others))[0])[..., np.newaxis]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, -9999.0, -32768.0])
@pytest.mark.parametrize("count", [1, 300])
def test_missing_pixels_are_black_and_the_others_as_without_them(missing: float, count: int) -> None:
    values, expected = FLOATS.copy(), known_grey().copy()
    values.reshape(-1)[:count] = missing
    expected.reshape(-1)[:count] = 0
    assert np.array_equal(decoded(values), expected)
    assert np.array_equal(decoded(values, missing=-9999.0), expected)


@pytest.mark.parametrize(("dtype", "numbers"), [("u2", Numbers.UNSIGNED), ("i2", Numbers.SIGNED), ("f8", Numbers.FLOAT)])
def test_the_value_that_the_file_names_is_missing(dtype: str, numbers: Numbers) -> None:
    values = (known_grey().astype(np.float64) * 16).astype(dtype)
    values[3, 3] = values[9, 9] = 30_000
    expected = (known_grey() * (16 * 255 / 4095)).round().astype(np.uint8)
    expected[3, 3] = expected[9, 9] = 0
    assert np.abs(decoded(values, numbers, missing=30_000.0).astype(int) - expected).max() <= 1


def test_a_picture_without_any_value_is_refused() -> None:
    with pytest.raises(UnsupportedKindError, match="every pixel is missing"):
        eight_bits(samples(np.full((10, 10, 1), np.nan, np.float32)))


def test_a_picture_of_one_value_is_flat() -> None:
    assert set(decoded(np.full((10, 10, 1), -7.0)).reshape(-1)) == {0}


def test_a_conversion_is_applied_before_the_rounding() -> None:
    """Straight 8 bits of a dark picture would have 2 levels left, and the curve would pull them far apart."""
    values = np.linspace(0, 2 / 255, 1000, dtype=np.float64).reshape(10, 100, 1)
    curve = [min(255, round(255 * (place / 255) ** 0.5)) for place in range(256)]
    colours, alpha = eight_bits(samples(values), lambda image: image.point(curve).convert("RGB"))
    assert alpha is None
    assert len(colours.getcolors() or ()) > 15


def test_a_wide_image_of_pillow_comes_in_blocks() -> None:
    image = Image.new("I;16", (2000, 2000), 700)
    parts = list(blocks_of(image))
    assert [part.shape[1:] for _, part in parts] == [(2000, 1)] * len(parts)
    assert sum(len(part) for _, part in parts) == 2000
    assert {int(part.max()) for _, part in parts} == {700}
