"""The tags of a TIFF decide whether Pillow or our code reads it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fixtures.tiff_writer import BLACK_IS_ZERO, PALETTE, RGB, WHITE_IS_ZERO, Page, write_tiff
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.tiff_directory import picture_directory
from vtt_core.ingest.tiff_layout import Layout, is_read_by_pillow, layout_of


def layout(page: Page, *, is_big_endian: bool = False, is_big_tiff: bool = False) -> Layout:
    return layout_of(picture_directory(write_tiff(page, is_big_endian=is_big_endian, is_big_tiff=is_big_tiff)))


def samples(num_bands: int, dtype: str = "u1") -> np.ndarray:
    return np.zeros((9, 11, num_bands), dtype)


@pytest.mark.parametrize(
    "page",
    [Page(samples(1)), Page(samples(1), WHITE_IS_ZERO, 4), Page(samples(3), RGB), Page(samples(4), RGB, extra_samples=(2,))],
)
def test_the_usual_8_bits_are_read_by_pillow(page: Page) -> None:
    assert is_read_by_pillow(layout(page))


@pytest.mark.parametrize(
    "page",
    [
        Page(samples(1, "u2"), bits=16),
        Page(samples(1, "f4"), bits=32),
        Page(samples(1, "i1")),
        Page(samples(3), RGB, is_planar=True),
        Page(samples(1), bits=4, is_planar=True),
        Page(samples(2), WHITE_IS_ZERO, extra_samples=(2,)),
        Page(samples(7), RGB, extra_samples=(0,) * 4),
    ],
)
def test_other_samples_of_grey_and_rgb_are_read_by_our_code(page: Page) -> None:
    assert not is_read_by_pillow(layout(page))


def test_a_big_endian_big_tiff_is_ours_or_refused() -> None:
    assert not is_read_by_pillow(layout(Page(samples(3), RGB), is_big_endian=True, is_big_tiff=True))
    assert is_read_by_pillow(layout(Page(samples(3), RGB), is_big_tiff=True))
    with pytest.raises(UnsupportedKindError, match="a big-endian BigTIFF of 1 band of 8 bits .*palette"):
        is_read_by_pillow(layout(Page(samples(1), PALETTE), is_big_endian=True, is_big_tiff=True))


def test_a_kind_is_named_in_words() -> None:
    kind = str(layout(Page(samples(13, "u2"), BLACK_IS_ZERO, 16)))
    assert kind == "a TIFF of 13 bands of 16 bits (unsigned integers, black-is-zero grey, compression raw)"


def test_webp_within_a_tiff_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedKindError, match="compression webp"):
        is_read_by_pillow(layout(Page(samples(3), RGB, tags={259: ("H", (50001,))})))


def test_a_page_without_a_size_is_damaged() -> None:
    with pytest.raises(ValueError, match="no width"):
        layout(Page(samples(1), tags={256: ("I", (0,))}))
