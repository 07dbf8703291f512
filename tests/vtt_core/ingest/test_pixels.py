"""Each format is read as 8 bits with its profile and orientation."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, known_grey, known_rgb
from tests.fixtures.png_writer import write_png
from tests.fixtures.tiff_writer import RGB, Page, write_tiff
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.jpeg2000 import read_jpeg2000
from vtt_core.ingest.pixels import _check_depth, read_pixels

ORIENTATION = 0x0112


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("image_format", ["PNG", "AVIF"])
def test_exif_turns_pictures_of_16_bits_and_of_new_formats(image_format: str) -> None:
    grey = known_grey()[..., 0]
    image = Image.fromarray(grey.astype(np.uint16) * 257) if image_format == "PNG" else Image.fromarray(grey)
    options = {} if image_format == "PNG" else {"quality": 100}
    decoded = decode_image(encode(image, image_format, exif=turned(3), **options))
    assert difference(decoded, known_grey()[::-1, ::-1]) <= 2


def test_metadata_that_says_nothing_of_pixels_is_left_out() -> None:
    encoded = write_png(known_rgb(), 16)
    with Image.open(io.BytesIO(encoded)) as image:
        image.info["comment"] = "where it was taken"
        assert read_pixels(image, encoded).info == {}


def test_colours_of_a_jpeg_2000_that_use_few_of_16_bits_are_refused() -> None:
    """Pillow keeps only their upper 8 bits."""
    encoded = encode(Image.fromarray(known_rgb()), "JPEG2000")
    header = replace(read_jpeg2000(encoded), bits=(16, 16, 16))
    _check_depth(Image.new("RGB", (8, 8), (0, 64, 0)), header)
    with pytest.raises(UnsupportedKindError, match="at most 14"):
        _check_depth(Image.new("RGB", (8, 8), (0, 63, 0)), header)


def test_a_fourth_band_that_no_tag_calls_alpha_hides_nothing() -> None:
    samples = np.concatenate([known_rgb(), known_grey() * 0], axis=-1)
    assert difference(decode_image(write_tiff(Page(samples, RGB))), known_rgb()) == 0
