"""Three bands of a TIFF of many become the right colours, whatever its depth, planes and packing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from PIL import Image, ImageCms

from tests.fixtures.noise_images import good
from tests.fixtures.pictures import difference, known_rgb
from tests.fixtures.scenes import four_bands, write_scene
from tests.hostile.mutations import FUZZ, bounded_memory, mutated
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import EmptyFileError, ImageDimensionsError, ImageError, NotAnImageError, UnsupportedKindError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.band_values import measure_range
from vtt_core.ingest.decode import band_values, decode_image

CHOICE = BandChoice((4, 3, 2), (100, 100, 100), (4180, 4180, 4180))
SMALL = Limits(max_image_bytes=50_000, max_image_pixels=100_000)


def scene(path: Path, dtype: str = "u2", **profile: Any) -> bytes:
    return write_scene(path / "s.tif", four_bands(known_rgb()).astype(dtype), **profile).read_bytes()


@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "f4", "f8"])
@pytest.mark.parametrize(
    "profile",
    [
        {"interleave": "pixel"},
        {"interleave": "band"},
        {"interleave": "pixel", "compress": "deflate", "predictor": 2},
        {"interleave": "band", "compress": "lzw", "tiled": True, "blockxsize": 16, "blockysize": 16},
    ],
    ids=["chunky", "planar", "predictor", "tiles"],
)
def test_the_bands_are_the_colours(tmp_path: Path, dtype: str, profile: dict[str, Any]) -> None:
    if dtype.startswith("f") and profile.get("predictor"):
        profile = profile | {"predictor": 3}
    assert difference(decode_image(scene(tmp_path, dtype, **profile), bands=CHOICE), known_rgb()) == 0


def test_values_outside_are_black_and_white(tmp_path: Path) -> None:
    narrow = BandChoice((4, 3, 2), (2000,) * 3, (2001,) * 3)
    values = np.asarray(decode_image(scene(tmp_path), bands=narrow))
    assert set(np.unique(values)) <= {0, 255}
    assert np.array_equal(values[..., 0] == 255, known_rgb()[..., 0].astype(int) * 16 + 100 > 2000)


@pytest.mark.parametrize(("dtype", "missing"), [("u2", 65_535), ("f4", -9999.0), ("f4", float("nan"))])
def test_missing_pixels_are_black_and_are_not_measured(tmp_path: Path, dtype: str, missing: float) -> None:
    values = four_bands(known_rgb()).astype(dtype)
    values[2, :5] = missing  # in one band only
    encoded = write_scene(tmp_path / "s.tif", values, nodata=missing).read_bytes()
    picture = np.asarray(decode_image(encoded, bands=CHOICE))
    assert not picture[:5].any()
    assert np.array_equal(picture[5:], known_rgb()[5:])
    measured = band_values(encoded, (4, 3, 2))
    assert measured.shape == (known_rgb()[5:, :, 0].size, 3)
    assert measured.min() >= 100
    assert measured.max() <= 4180


def test_a_large_image_is_measured_on_some_of_its_pixels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (4, 700, 900)).astype("u2")
    encoded = write_scene(tmp_path / "s.tif", values).read_bytes()
    measured = band_values(encoded, (1, 2, 3))
    assert 15_000 < len(measured) < 30_000
    assert measured.mean() == pytest.approx(500, rel=0.02)


def test_other_formats_are_read_as_ever() -> None:
    assert decode_image(good(), bands=CHOICE).tobytes() == decode_image(good()).tobytes()


class TestRefused:
    def test_without_a_choice_the_file_is_named_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedKindError, match=r"4 bands of 16 bits.*vtt adapt --bands"):
            decode_image(scene(tmp_path))

    def test_a_band_that_it_lacks(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedKindError, match="the bands 5, 3, 2"):
            decode_image(scene(tmp_path), bands=BandChoice((5, 3, 2), (0,) * 3, (1,) * 3))

    def test_complex_numbers(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedKindError):
            decode_image(scene(tmp_path, "c8"), bands=CHOICE)

    def test_more_pixels_than_allowed(self, tmp_path: Path) -> None:
        with pytest.raises(ImageDimensionsError):
            band_values(scene(tmp_path), (4, 3, 2), Limits(max_image_pixels=1000))

    @pytest.mark.parametrize(("encoded", "error"), [(good(), NotAnImageError), (b"", EmptyFileError)])
    def test_what_is_no_tiff_has_no_values(self, encoded: bytes, error: type[ImageError]) -> None:
        with pytest.raises(error):
            band_values(encoded, (4, 3, 2))


@pytest.mark.slow
def test_a_changed_file_is_read_or_refused(tmp_path: Path) -> None:
    originals = [scene(tmp_path, interleave="band"), scene(tmp_path, "f4", compress="deflate", predictor=3)]

    @FUZZ
    @given(mutated(*originals))
    def read(encoded: bytes) -> None:
        with bounded_memory():
            try:
                decode_image(encoded, SMALL, CHOICE)
                band_values(encoded, CHOICE.bands, SMALL)
            except ImageError:
                return

    read()


class TestMeasureRange:
    def test_percentiles_are_those_of_all_images_together(self) -> None:
        images = [np.full((100, 3), value) for value in range(101)]
        assert measure_range(images, 2, 98) == ((2.0,) * 3, (98.0,) * 3)

    def test_a_band_of_one_value_has_a_white_above_its_black(self) -> None:
        black, white = measure_range([np.full((10, 3), 7)], 2, 98)
        assert (black, white) == ((7.0,) * 3, (8.0,) * 3)

    def test_no_pixels_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="no pixels"):
            measure_range([np.zeros((0, 3))], 2, 98)


@pytest.mark.parametrize("mode", ["CMYK", "P", "LAB", "YCbCr"])
def test_amounts_of_ink_and_other_numbers_that_are_no_colours_are_refused(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(known_rgb())
    (lab(picture) if mode == "LAB" else picture.convert(mode)).save(tmp_path / "x.tif")
    choice = BandChoice((1, 1, 1) if mode == "P" else (3, 2, 1), (0, 0, 0), (255, 255, 255))
    with pytest.raises(UnsupportedKindError, match="Convert it to RGB"):
        decode_image((tmp_path / "x.tif").read_bytes(), bands=choice)


def lab(picture: Image.Image) -> Image.Image:
    into = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    converted = ImageCms.applyTransform(picture, into)
    assert converted is not None
    return converted


def test_more_bands_than_are_read_name_the_limit(tmp_path: Path) -> None:
    encoded = write_scene(tmp_path / "s.tif", np.zeros((65, 16, 16), np.uint8)).read_bytes()
    with pytest.raises(UnsupportedKindError, match="at most 64 bands"):
        decode_image(encoded, bands=BandChoice((1, 2, 3), (0, 0, 0), (1, 1, 1)))
