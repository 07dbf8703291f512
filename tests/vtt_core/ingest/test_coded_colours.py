"""Colour spaces given as code numbers become profiles, or are refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, known_rgb
from tests.fixtures.png_writer import png_chunk, write_png
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.coded_colours import CodedColours, profile_of
from vtt_core.ingest.colour import srgb_transform
from vtt_core.ingest.decode import decode_image


@pytest.mark.parametrize("transfer", [1, 2, 6, 13])
def test_srgb_and_the_curve_of_video_ask_for_no_profile(transfer: int) -> None:
    assert profile_of(CodedColours(1, transfer)) is None


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_its_name(transfer: int, name: str) -> None:
    encoded = write_png(known_rgb(), 8, png_chunk(b"cICP", bytes([9, transfer, 0, 1])))
    with pytest.raises(UnsupportedKindError, match=name):
        decode_image(encoded)


def test_an_unknown_space_is_refused_by_its_number() -> None:
    with pytest.raises(UnsupportedKindError, match="22/13"):
        profile_of(CodedColours(22, 13))


def test_linear_light_becomes_srgb() -> None:
    transform = srgb_transform(profile_of(CodedColours(1, 8)), "RGB")
    assert transform is not None
    grey = transform(Image.new("RGB", (1, 1), (55, 55, 55))).getpixel((0, 0))
    assert grey == (128, 128, 128)  # 0.5 ** 2.2 of white, nearly


def test_display_p3_is_converted_by_its_primaries() -> None:
    """(234, 51, 35) of Display P3 is the red of sRGB."""
    encoded = write_png(np.full((16, 16, 3), (234, 51, 35), np.uint8), 8, png_chunk(b"cICP", bytes([12, 13, 0, 1])))
    assert difference(decode_image(encoded), np.full((16, 16, 3), (255, 0, 0), np.uint8)) <= 3


def test_the_numbers_count_more_than_a_profile() -> None:
    profile = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile_of(CodedColours(1, 8)) or b""))
    encoded = write_png(known_rgb(), 8, png_chunk(b"cICP", bytes([1, 13, 0, 1])) + profile)
    assert difference(decode_image(encoded), known_rgb()) == 0


@pytest.mark.parametrize("colours", [CodedColours(9, 13), CodedColours(12, 13), CodedColours(12, 4)])
def test_white_stays_white(colours: CodedColours) -> None:
    transform = srgb_transform(profile_of(colours), "RGB")
    assert transform is not None
    white = transform(Image.new("RGB", (1, 1), "white")).getpixel((0, 0))
    assert isinstance(white, tuple)
    assert min(white) >= 254


def test_a_made_profile_is_one_that_lcms_reads() -> None:
    profile = profile_of(CodedColours(12, 13))
    assert profile is not None
    assert encode(Image.new("RGB", (8, 8)), "PNG", icc_profile=profile)
    import io

    assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space == "RGB "
