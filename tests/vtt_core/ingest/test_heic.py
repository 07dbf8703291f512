"""A HEIC photo is read upright and in sRGB, and stored without its metadata."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from PIL import Image

from tests.fixtures.pictures import difference, known_rgb
from tests.fixtures.planted_metadata import SECRET
from tests.hostile.mutations import FUZZ, bounded_memory, mutated
from vtt_core.contract.errors import (
    AnimatedImageError,
    FormatPackageMissingError,
    ImageDimensionsError,
    ImageError,
    TruncatedImageError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.decode import decode_image, decode_with_format
from vtt_core.ingest.heic import is_heic
from vtt_core.ingest.strip_metadata import clean_image

SMALL = replace(DEFAULT_LIMITS, max_image_bytes=30_000, max_image_pixels=100_000)
MAX_DIFFERENCE = 3.0


def heic(*images: Image.Image, **options: Any) -> bytes:
    """A HEIC of these images, the first as the primary one; lossless unless the options say so."""
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    buffer = io.BytesIO()
    file.save(buffer, **{"quality": -1, "chroma": 444, "matrix_coefficients": 0, **options})
    return buffer.getvalue()


KNOWN = Image.fromarray(known_rgb())


def test_a_photo_is_read() -> None:
    picture, name = decode_with_format(heic(KNOWN))
    assert (name, difference(picture, known_rgb())) == ("HEIC", 0)


def test_a_photo_in_the_usual_coding_is_read() -> None:
    assert (
        difference(decode_image(heic(KNOWN, quality=90, chroma=420, matrix_coefficients=6)), known_rgb()) <= 2 * MAX_DIFFERENCE
    )


def test_a_turned_photo_is_upright() -> None:
    exif = Image.Exif()
    exif[274] = 6
    upright = decode_image(heic(KNOWN, exif=exif.tobytes()))  # pillow-heif writes the turn as a box
    assert difference(upright, np.rot90(known_rgb(), -1)) <= MAX_DIFFERENCE


def test_transparent_pixels_are_white() -> None:
    image = KNOWN.convert("RGBA")
    image.putalpha(0)
    assert decode_image(heic(image)).getpixel((3, 3)) == (255, 255, 255)


def test_it_is_stored_as_a_png_of_the_same_pixels_without_metadata() -> None:
    exif = Image.Exif()
    exif[270] = SECRET.decode()
    sent = heic(KNOWN, exif=exif.tobytes(), xmp=b"<x>" + SECRET + b"</x>")
    clean = clean_image(sent)
    assert SECRET in sent
    assert SECRET not in clean.content
    assert clean.facts.image_format == "PNG"
    assert decode_image(clean.content).tobytes() == decode_image(sent).tobytes()


def test_several_photos_are_refused() -> None:
    with pytest.raises(AnimatedImageError, match="a HEIC file of 2 photos"):
        decode_image(heic(KNOWN, KNOWN))


def test_more_pixels_than_allowed_are_refused() -> None:
    with pytest.raises(ImageDimensionsError):
        decode_image(heic(KNOWN), replace(DEFAULT_LIMITS, max_image_pixels=1000))


def test_a_photo_that_ends_early_is_refused() -> None:
    encoded = heic(KNOWN)
    for share in (0.02, 0.3, 0.9):
        with pytest.raises(TruncatedImageError):
            decode_image(encoded[: int(share * len(encoded))])


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(FormatPackageMissingError, match=r"pip install -c constraints.txt -e '.\[heic\]'"):
        decode_image(heic(KNOWN))


def test_an_avif_is_no_heic() -> None:
    buffer = io.BytesIO()
    KNOWN.save(buffer, "AVIF")
    assert not is_heic(buffer.getvalue())
    assert is_heic(heic(KNOWN))


@pytest.mark.slow
@FUZZ
@given(mutated(heic(KNOWN, quality=60)))
def test_a_changed_photo_is_cleaned_or_refused(sent: bytes) -> None:
    with bounded_memory():
        try:
            clean = clean_image(sent, SMALL)
        except ImageError:
            return
        assert decode_image(clean.content, SMALL).tobytes() == decode_image(sent, SMALL).tobytes()
