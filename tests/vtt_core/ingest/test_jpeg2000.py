"""The kind and cost of a JPEG 2000 are known from its header."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, known_alpha, known_grey, known_rgb
from tests.vtt_core.ingest.test_boxes import made
from vtt_core.contract.errors import ImageTooComplexError, TruncatedImageError, UnsupportedKindError
from vtt_core.ingest.coded_colours import CodedColours, profile_of
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.jpeg2000 import (
    MAX_TILE_SAMPLES,
    check_jpeg2000_cost,
    check_jpeg2000_kind,
    read_jpeg2000,
)

CASES = Path(__file__).parent / "cases"
RGB = Image.fromarray(known_rgb())


def lossless(image: Image.Image = RGB, **options: Any) -> bytes:
    return encode(image, "JPEG2000", irreversible=False, **options)


def test_a_file_of_another_program_decodes() -> None:
    with Image.open(CASES / "ref_rgb.png") as reference:
        assert difference(decode_image((CASES / "x.jp2").read_bytes()), np.asarray(reference.convert("RGB"))) <= 1


def test_the_header_is_read_with_and_without_boxes() -> None:
    boxed, bare = read_jpeg2000(lossless()), read_jpeg2000(lossless(no_jp2=True))
    assert (boxed.width, boxed.height, boxed.bits, boxed.colour_space) == (60, 44, (8, 8, 8), 16)
    assert (bare.width, bare.height, bare.bits, bare.colour_space) == (60, 44, (8, 8, 8), None)


def test_alpha_counts_only_where_it_is_named() -> None:
    image = RGB.copy()
    image.putalpha(Image.fromarray(known_alpha()[..., 0]))
    assert read_jpeg2000(lossless(image)).has_alpha
    with pytest.raises(UnsupportedKindError, match="4 components of 8 bits"):
        decode_image(lossless(image, no_jp2=True))


@pytest.mark.parametrize(
    "change",
    [
        {"bits": (8, 8, 5)},
        {"bits": (8,) * 7},
        {"bits": (24,)},
        {"is_signed": True},
        {"colour_space": 14},
        {"channels": ((0, 0, 3), (1, 0, 2), (2, 0, 1))},
        {"channels": ((0, 0, 1), (1, 0, 2), (2, 2, 0))},
    ],
    ids=["depths differ", "7 components", "24 bits", "signed", "CIELab", "BGR", "premultiplied"],
)
def test_kinds_that_pillow_takes_for_others_are_refused(change: dict[str, Any]) -> None:
    header = read_jpeg2000(lossless())
    check_jpeg2000_kind(header)
    with pytest.raises(UnsupportedKindError):
        check_jpeg2000_kind(replace(header, **change))


def test_signed_samples_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedKindError, match="signed"):
        decode_image(lossless(Image.fromarray(known_grey()[..., 0]), signed=True))


def test_a_profile_in_a_box_counts() -> None:
    profile = profile_of(CodedColours(1, 8))
    assert profile is not None
    encoded = lossless()
    at = encoded.index(b"colr") - 4
    box = made(b"colr", b"\2\0\0" + profile)
    (length,) = struct.unpack_from(">I", encoded, at)
    head = encoded.index(b"jp2h") - 4
    grown = struct.unpack_from(">I", encoded, head)[0] + len(box) - length
    tagged = encoded[:head] + struct.pack(">I", grown) + encoded[head + 4 : at] + box + encoded[at + length :]
    expected = 255 * (known_rgb() / 255) ** (1 / 2.2)
    assert difference(decode_image(tagged), expected.astype(np.uint8)) <= 3


def test_one_large_tile_is_refused_and_many_small_ones_are_not() -> None:
    header = replace(read_jpeg2000(lossless()), width=6000, height=6000, tile_width=6000, tile_height=6000, num_tiles=1)
    assert 6000 * 6000 * 3 > MAX_TILE_SAMPLES
    with pytest.raises(ImageTooComplexError, match="samples in a tile"):
        check_jpeg2000_cost(header)
    check_jpeg2000_cost(replace(header, tile_width=1024, tile_height=1024, num_tiles=36))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"codeblock_size": (4, 4)}, "code blocks"), ({"codeblock_size": (4, 4), "precinct_size": (4, 4)}, "code blocks")],
)
def test_tiny_blocks_of_a_large_picture_are_refused(options: dict[str, Any], name: str) -> None:
    small = read_jpeg2000(lossless(**options))
    check_jpeg2000_cost(small)
    with pytest.raises(ImageTooComplexError, match=name):
        check_jpeg2000_cost(replace(small, width=4000, height=4000, tile_width=1000, tile_height=1000, num_tiles=16))


def test_a_style_for_one_component_or_one_tile_counts_too() -> None:
    header = replace(read_jpeg2000(lossless()), width=4000, height=4000, tile_width=1000, tile_height=1000, num_tiles=16)
    check_jpeg2000_cost(header)
    tiny = b"\xff\x53" + struct.pack(">H", 9) + bytes([1, 0, 5, 0, 0, 0, 1])
    stream = header.codestream
    before_tiles, before_data = stream.index(b"\xff\x90"), stream.index(b"\xff\x93")
    for at in (before_tiles, before_data):
        with pytest.raises(ImageTooComplexError, match="code blocks"):
            check_jpeg2000_cost(replace(header, codestream=stream[:at] + tiny + stream[at:]))


def test_very_many_layers_are_refused() -> None:
    header = replace(read_jpeg2000(lossless()), width=4000, height=4000, tile_width=256, tile_height=256, num_tiles=256)
    at = header.codestream.index(b"\xff\x52") + 6
    stream = header.codestream[:at] + b"\xff\xff" + header.codestream[at + 2 :]
    with pytest.raises(ImageTooComplexError, match="packets"):
        check_jpeg2000_cost(replace(header, codestream=stream))


@pytest.mark.parametrize("kept", [4, 20, 60, 100, 150])
def test_a_header_that_ends_early_is_damage(kept: int) -> None:
    with pytest.raises(TruncatedImageError):
        decode_image(lossless()[:kept] if kept > 11 else lossless(no_jp2=True)[:kept])


def test_a_missing_tile_is_damage_and_not_black() -> None:
    encoded = lossless(tile_size=(32, 32), no_jp2=True)
    first = encoded.index(b"\xff\x90")
    second = encoded.index(b"\xff\x90", first + 2)
    assert decode_image(encoded).size == RGB.size
    with pytest.raises(TruncatedImageError):
        decode_image(encoded[:first] + encoded[second:])
