"""Colours are converted to sRGB by their profile. Transparent pixels become white, whatever their value."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, hidden_below_alpha, known_alpha, known_grey, known_rgb, on_white
from tests.fixtures.png_writer import png_chunk, write_png
from vtt_core.ingest.coded_colours import CodedColours, profile_of
from vtt_core.ingest.colour import MAX_KEPT, MAX_PROFILE_BYTES, flat_srgb, srgb_transform
from vtt_core.ingest.decode import decode_image

CASES = Path(__file__).parent / "cases"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DISPLAY_P3 = profile_of(CodedColours(12, 13)) or b""
RGB = Image.fromarray(known_rgb())


def grey_profile(gamma: float) -> bytes:
    tags = {
        b"wtpt": struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061),
        b"kTRC": struct.pack(">4sIIHxx", b"curv", 0, 1, int(gamma * 256)),
    }
    start, table, content = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(content), len(value))
        content += value
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(content), 0x04200000, b"mntr", b"GRAY", b"XYZ ", b"acsp").ljust(
        68, b"\0"
    )
    return (head + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0") + table + content


def test_a_picture_in_linear_light_decodes_to_its_srgb() -> None:
    with Image.open(CASES / "ref_rgb.png") as reference:
        expected = np.asarray(reference.convert("RGB"))
    assert difference(decode_image((CASES / "icc_linear.png").read_bytes()), expected) <= 1


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_counts_in_every_format(image_format: str) -> None:
    plain = decode_image(encode(RGB, image_format))
    with_profile = decode_image(encode(RGB, image_format, icc_profile=DISPLAY_P3))
    expected = ImageCms.profileToProfile(plain, io.BytesIO(DISPLAY_P3), ImageCms.createProfile("sRGB"))
    assert isinstance(expected, Image.Image)
    assert difference(with_profile, np.asarray(expected)) <= 1
    assert difference(with_profile, np.asarray(plain)) > 2


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_profile_that_is_srgb_in_effect_leaves_the_pixels(image_format: str) -> None:
    plain, tagged = encode(RGB, image_format), encode(RGB, image_format, icc_profile=SRGB)
    assert decode_image(tagged).tobytes() == decode_image(plain).tobytes()
    assert srgb_transform(SRGB, "RGB") is None


def test_grey_with_a_profile_of_grey_is_converted() -> None:
    """Linear grey g is sRGB 255 * (g / 255) ** (1 / 2.2), nearly."""
    image = Image.fromarray(known_grey()[..., 0])
    expected = 255 * (known_grey() / 255) ** (1 / 2.2)
    assert difference(decode_image(encode(image, "PNG", icc_profile=grey_profile(1))), expected.astype(np.uint8)) <= 3


def test_16_bits_are_converted_before_they_are_rounded() -> None:
    """In linear light the dark half of a picture has few of 256 levels; of 65,536 it has enough."""
    srgb = np.tile(np.arange(0, 120, dtype=np.uint8), (16, 1))[..., np.newaxis].repeat(3, axis=-1)
    share = srgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear[0, 0] = 1.0
    profile = profile_of(CodedColours(1, 8))
    assert profile is not None
    encoded = write_png((linear * 65535).round(), 16, png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)))
    expected = srgb.copy()
    expected[0, 0] = 255
    assert difference(decode_image(encoded), expected) <= 1


@pytest.mark.parametrize(
    "profile",
    [
        b"\xff" * 5000,
        SRGB[:200],
        DISPLAY_P3[:130],
        DISPLAY_P3[:128] + b"\xff" * 600,
        grey_profile(1),
        b"",
        DISPLAY_P3 + bytes(MAX_PROFILE_BYTES),
        DISPLAY_P3[:12] + b"link" + DISPLAY_P3[16:],
    ],
    ids=["garbage", "cut", "head only", "garbage behind a head", "of grey", "empty", "too large", "device link"],
)
def test_a_profile_that_is_damaged_or_of_other_colours_is_ignored(profile: bytes) -> None:
    assert flat_srgb(RGB, profile).tobytes() == RGB.tobytes()
    assert decode_image(encode(RGB, "JPEG", icc_profile=profile[:60_000])).size == RGB.size


def test_only_the_last_profiles_are_kept() -> None:
    profiles = [grey_profile(1.05 + step / 10) for step in range(MAX_KEPT + 1)]
    transforms = [srgb_transform(profile, "L") for profile in profiles]
    assert None not in transforms
    assert srgb_transform(profiles[-1], "L") is transforms[-1]
    assert srgb_transform(profiles[0], "L") is not transforms[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("image_format", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_the_same_seen_picture_decodes_the_same_whatever_is_hidden(
    mode: str, image_format: str, options: dict[str, bool]
) -> None:
    decoded = [decode_image(encode(hidden_below_alpha(fill, mode), image_format, **options)) for fill in (0, 90, 255)]
    assert decoded[0].tobytes() == decoded[1].tobytes() == decoded[2].tobytes()
    expected = on_white(known_rgb() if mode == "RGBA" else known_grey(), known_alpha())
    assert difference(decoded[0], expected) <= 1


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP"])
def test_a_transparent_entry_of_a_palette_is_white(image_format: str) -> None:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.paste(1, (10, 0, 20, 10))
    image.info["transparency"] = 1
    decoded = decode_image(encode(image, image_format, **({"lossless": True} if image_format == "WEBP" else {})))
    assert decoded.getpixel((15, 5)) == (255, 255, 255)
    assert decoded.getpixel((5, 5)) == (10, 20, 30)
