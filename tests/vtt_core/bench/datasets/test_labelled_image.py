"""Images are read on request, and errors name the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vtt_core.bench.datasets.labelled_image import LOCAL_LIMITS, read_as_png, read_file, to_png
from vtt_core.contract.errors import DatasetFileError
from vtt_core.ingest.decode import decode_image


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match=r"gone\.jpg"):
        read_file(str(tmp_path / "gone.jpg"))


def test_a_ppm_becomes_a_png_with_the_same_pixels(tmp_path: Path, write_image: Callable[..., None]) -> None:
    write_image(tmp_path / "sign.ppm", (7, 8, 9))
    image = decode_image(read_as_png(str(tmp_path / "sign.ppm")))
    assert image.size == (12, 10)
    assert image.getcolors() == [(120, (7, 8, 9))]


def test_a_damaged_ppm_is_named(tmp_path: Path) -> None:
    (tmp_path / "sign.ppm").write_bytes(b"P6\n12 10\n255\nshort")
    with pytest.raises(DatasetFileError, match=r"sign\.ppm"):
        read_as_png(str(tmp_path / "sign.ppm"))


def test_a_crop_of_few_pixels_decodes_within_the_local_limits() -> None:
    assert decode_image(to_png(Image.new("RGB", (3, 400))), LOCAL_LIMITS).size == (3, 400)


def test_the_local_limits_stay_under_the_size_at_which_pillow_refuses() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert LOCAL_LIMITS.max_image_pixels < 2 * Image.MAX_IMAGE_PIXELS


def test_to_png_keeps_every_pixel() -> None:
    image = Image.effect_noise((16, 16), 90)
    assert Image.open(io.BytesIO(to_png(image))).tobytes() == image.tobytes()
