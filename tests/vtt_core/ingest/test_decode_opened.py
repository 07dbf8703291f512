"""An image that was opened with Pillow is read like its file, or refused."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from app.cli.synthetic_images import PAINTERS, make_image
from vtt_core.contract.errors import AnimatedImageError, ImageDimensionsError, UnsupportedKindError
from vtt_core.ingest.decode import decode_image, decode_opened


def drawn() -> Image.Image:
    return make_image(next(iter(PAINTERS)), random.Random(1))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def sideways() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return encoded(drawn().resize((64, 32)), "JPEG", exif=exif)


def see_through(mode: str) -> Image.Image:
    image = drawn().convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


NARROW: dict[str, Callable[[], bytes]] = {
    "RGB": lambda: encoded(drawn(), "PNG"),
    "grey": lambda: encoded(drawn().convert("L"), "PNG"),
    "transparent": lambda: encoded(see_through("RGBA"), "PNG"),
    "transparent grey": lambda: encoded(see_through("LA"), "PNG"),
    "palette with a transparent colour": lambda: encoded(drawn().quantize(8), "PNG", transparency=2),
    "CMYK": lambda: encoded(drawn().convert("CMYK"), "JPEG"),
    "two colours": lambda: encoded(drawn().convert("1"), "PNG"),
    "on its side": sideways,
}


def wide() -> list[bytes]:
    grey = np.asarray(drawn().convert("L"))
    return [
        encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        encoded(Image.fromarray((grey / 255).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(grey.astype(np.int32) * 100), "TIFF"),
    ]


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_opened_image_is_read_like_its_file(kind: str, is_loaded: bool) -> None:
    content = NARROW[kind]()
    image = Image.open(io.BytesIO(content))
    if is_loaded:
        image.load()
    before = image.copy().tobytes() if is_loaded else None
    assert np.array_equal(decode_opened(image), decode_image(content))
    assert before is None or image.tobytes() == before


@pytest.mark.parametrize("number", range(3))
def test_a_wide_image_is_read_like_its_file_and_refused_where_it_is_loaded(number: int) -> None:
    content = wide()[number]
    image = Image.open(io.BytesIO(content))
    assert np.array_equal(decode_opened(image), decode_image(content))
    image.load()
    with pytest.raises(UnsupportedKindError, match="path of the file"):
        decode_opened(image)


def test_a_copy_of_a_wide_image_is_refused() -> None:
    with pytest.raises(UnsupportedKindError, match="'I;16'"):
        decode_opened(Image.open(io.BytesIO(wide()[0])).copy())


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (7, 64), (8, 5000)])
def test_sizes_are_refused_as_of_files(size: tuple[int, int]) -> None:
    with pytest.raises(ImageDimensionsError):
        decode_opened(Image.new("RGB", size))


def test_several_frames_are_refused_before_and_after_loading() -> None:
    image = Image.open(io.BytesIO(encoded(drawn(), "GIF", save_all=True, append_images=[drawn().rotate(90)])))
    with pytest.raises(AnimatedImageError):
        decode_opened(image)
    image.load()
    with pytest.raises(AnimatedImageError):
        decode_opened(image)


def test_an_opened_image_can_be_used_afterwards() -> None:
    content = NARROW["RGB"]()
    image = Image.open(io.BytesIO(content))
    decode_opened(image)
    assert np.array_equal(image, decode_image(content))
