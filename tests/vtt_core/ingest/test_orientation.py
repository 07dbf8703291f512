"""The orientation comes from the EXIF tag, else from XMP. Damaged metadata is ignored."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageOps

from tests.fixtures import planted_metadata as planted
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.orientation import orientation_exif, raw_profile, read_orientation

TURNS = range(1, 9)


def xmp(text: str) -> bytes:
    return f'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" {text}'.encode()


@pytest.mark.parametrize("turn", TURNS)
def test_the_tag_is_read_in_both_byte_orders(turn: int) -> None:
    assert read_orientation(b"Exif\0\0" + planted.exif(turn), None) == turn
    assert read_orientation(orientation_exif(turn), None) == turn


@pytest.mark.parametrize(
    "packet",
    [
        xmp('tiff:Orientation="6">'),
        xmp("tiff:Orientation='6'>"),
        xmp("><tiff:Orientation>6</tiff:Orientation>"),
        xmp("><tiff:Orientation> 6 </tiff:Orientation>"),
        xmp('tiff:Orientation="6">').decode().encode("utf-16"),
        b"<x xmlns:t='http://ns.adobe.com/tiff/1.0/' t:Orientation='6'>",
    ],
)
def test_every_way_to_write_it_in_xmp_is_read(packet: bytes) -> None:
    assert read_orientation(None, packet) == 6


def test_the_tag_comes_before_xmp() -> None:
    assert read_orientation(planted.exif(3), planted.xmp(6)) == 3
    assert read_orientation(planted.exif(), planted.xmp(6)) == 6


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        planted.exif(9),
        planted.exif(65_535),
        orientation_exif(6)[:14],
        orientation_exif(6)[:12] + struct.pack(">HI", 2, 4) + b"six\0" + bytes(4),
    ],
)
def test_damaged_metadata_leaves_the_picture_as_it_is(exif: bytes) -> None:
    assert read_orientation(exif, b'tiff:Orientation="9"') == 1
    assert read_orientation(exif, planted.xmp(6)) == 6


def test_a_raw_profile_is_read_and_a_damaged_one_is_empty() -> None:
    assert raw_profile(f"\nexif\n26\n{orientation_exif(6).hex()}\n") == orientation_exif(6)
    assert raw_profile("\nexif\n26\nno digits") == b""


def turned(turn: int, picture: Image.Image) -> bytes:
    """Pillow's own turn, of a picture whose EXIF says so."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[274] = turn
    picture.save(buffer, "PNG", exif=exif)
    return ImageOps.exif_transpose(Image.open(buffer)).convert("RGB").tobytes()


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_that_only_xmp_turns_is_decoded_upright(container: str, turn: int) -> None:
    make = planted.CONTAINERS[container]
    plain = decode_image(make())
    assert decode_image(make(None, turn)).tobytes() == turned(turn, plain)
    assert decode_image(make(turn, 1)).tobytes() == turned(turn, plain)
