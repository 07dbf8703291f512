"""Thumbnails: small, upright, without metadata."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from vtt_core.contract.errors import ImageDimensionsError, ImageError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.decode import FORMATS
from vtt_core.ingest.thumbnail import make_thumbnail


def encode(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def shown(thumbnail: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(thumbnail))
    assert image.format == "WEBP"
    return image


def test_the_longest_side_is_the_one_asked_for_and_the_shape_stays() -> None:
    assert shown(make_thumbnail(encode(Image.new("RGB", (400, 100))), 64)).size == (64, 16)


def test_a_small_image_is_not_enlarged() -> None:
    assert shown(make_thumbnail(encode(Image.new("RGB", (40, 20))), 256)).size == (40, 20)


def test_the_orientation_is_applied_and_no_metadata_is_left() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    thumbnail = make_thumbnail(encode(Image.new("RGB", (200, 100), "red"), "JPEG", exif=exif, comment=b"at home"), 100)
    image = shown(thumbnail)
    assert image.size == (50, 100)
    assert not image.getexif()
    assert b"a camera" not in thumbnail
    assert b"at home" not in thumbnail


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_format_has_a_thumbnail_in_the_colours_of_the_image(image_format: str) -> None:
    image = shown(make_thumbnail(encode(Image.new("RGB", (64, 64), (200, 40, 40)), image_format), 32))
    assert (image.mode, image.size) == ("RGB", (32, 32))
    red, green, blue = image.getpixel((16, 16))
    assert abs(red - 200) < 12
    assert abs(green - 40) < 12
    assert abs(blue - 40) < 12


def test_an_image_outside_the_limits_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageDimensionsError):
        make_thumbnail(encode(Image.new("RGB", (400, 100))), 64, Limits(max_image_pixels=10_000))
    with pytest.raises(ImageError):
        make_thumbnail(b"not an image", 64)
