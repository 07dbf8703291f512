"""Tags of a TIFF that change how samples are read. test_kinds.py tests the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fixtures.pictures import difference, known_grey, known_rgb
from tests.fixtures.tiff_writer import BLACK_IS_ZERO, RGB, WHITE_IS_ZERO, Page, write_tiff
from vtt_core.contract.errors import ImageTooComplexError, TruncatedImageError
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.tiff_samples import MAX_STRIP_BYTES

WIDE = known_grey().astype(np.uint16)


def nodata(text: bytes) -> dict[int, Any]:
    return {42113: ("s", (text + b"\0",))}


@pytest.mark.parametrize("text", [b"-9999", b"-3.4028234663852886e+38", b"nan", b"-9.999e3 "])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
def test_the_value_that_gdal_names_is_missing(text: bytes, photometric: int) -> None:
    values = known_grey().astype(np.float32) / 255
    values = 1 - values if photometric == WHITE_IS_ZERO else values
    values[5:9, 5:9] = float(text)
    expected = known_grey().copy()
    expected[5:9, 5:9] = 0
    page = Page(values, photometric, 32, tags=nodata(text))
    assert difference(decode_image(write_tiff(page)), expected) <= 1


@pytest.mark.parametrize("text", [b"none", b"", b"\xff\xfe"])
def test_a_missing_value_that_is_not_a_number_is_ignored(text: bytes) -> None:
    page = Page(WIDE * 257, bits=16, tags=nodata(text))
    assert difference(decode_image(write_tiff(page)), known_grey()) <= 1


def test_the_largest_sample_that_a_file_names_says_how_many_bits_are_used() -> None:
    dark = WIDE // 16 * 16  # 12 bits whose brightest pixel is below 1024
    for largest, depth in ((4095, 4095), (3000, 4095), (65535, 65535)):
        page = Page(dark, bits=16, tags={281: ("H", (largest,))})
        assert difference(decode_image(write_tiff(page)), (dark * 255.0 / depth).astype(np.uint8)) <= 1


def test_smin_and_smax_are_black_and_white() -> None:
    values = known_grey().astype(np.float32) * 2 + 100
    page = Page(values, bits=32, tags={340: ("f", (100.0,)), 341: ("f", (610.0,))})
    assert difference(decode_image(write_tiff(page)), known_grey()) <= 1


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_wide_picture_is_turned_as_its_tag_says(orientation: int) -> None:
    page = Page(WIDE * 257, bits=16, tags={274: ("H", (orientation,))})
    expected = np.rot90(known_grey(), {3: 2, 6: 3}[orientation])
    assert difference(decode_image(write_tiff(page)), expected) <= 1


def test_a_profile_counts_for_wide_samples() -> None:
    from vtt_core.ingest.coded_colours import CodedColours, profile_of

    profile = profile_of(CodedColours(1, 8))
    assert profile is not None
    linear = ((known_rgb() / 255) ** 2.2 * 65535).astype(np.uint16)
    page = Page(linear, RGB, 16, tags={34675: ("s", (profile,))})
    assert difference(decode_image(write_tiff(page)), known_rgb()) <= 2


@pytest.mark.parametrize("is_deflated", [False, True])
@pytest.mark.parametrize("tag", [273, 279, 256])
def test_strips_that_are_missing_or_end_early_are_damage(is_deflated: bool, tag: int) -> None:
    value = {273: 10**6, 279: 3, 256: 500}[tag]
    page = Page(WIDE * 257, bits=16, is_deflated=is_deflated, tags={tag: ("I", (value,))})
    with pytest.raises(TruncatedImageError):
        decode_image(write_tiff(page))


def test_a_strip_that_would_unpack_to_too_much_is_refused() -> None:
    side = 6000
    assert side * side * 4 > MAX_STRIP_BYTES
    tags = {256: ("I", (side,)), 257: ("I", (side,)), 278: ("I", (side,))}
    page = Page(np.zeros((8, 8, 1), np.float32), bits=32, is_deflated=True, tags=tags)
    with pytest.raises(ImageTooComplexError, match="strips of at most"):
        decode_image(write_tiff(page))


def test_strips_that_each_claim_the_whole_file_cost_no_more_than_they_unpack_to() -> None:
    values = np.tile(WIDE * 257, (20, 1, 1))
    page = Page(values, bits=16, is_deflated=True, rows_per_strip=1)
    encoded = write_tiff(page)
    page.tags[279] = ("I", (len(encoded),) * len(values))
    assert difference(decode_image(write_tiff(page)), np.tile(known_grey(), (20, 1, 1))) <= 1
