"""Every kind of pixels decodes to the right 8-bit sRGB image, or is refused with its kind."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, known_alpha, known_grey, known_rgb, on_white
from tests.fixtures.png_writer import png_chunk, write_png
from tests.fixtures.tiff_writer import BLACK_IS_ZERO, CMYK, PALETTE, RGB, WHITE_IS_ZERO, Page, write_tiff
from vtt_core.contract.errors import ImageError, UnsupportedKindError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.decode import decode_image

Array = NDArray[Any]
MAX_DIFFERENCE = 1.0
"""Mean absolute difference, of 255."""
MAX_LOSSY_DIFFERENCE = 10.0
"""WebP always halves the resolution of colours, and the image has colour edges."""


@dataclass(frozen=True)
class Depth:
    """How a value of 0 to 255 is written."""

    name: str
    bits: int
    dtype: str
    black: float
    white: float

    def of(self, values: NDArray[np.uint8]) -> Array:
        scaled = self.black + values.astype(np.float64) * (self.white - self.black) / 255
        return (scaled if self.dtype.startswith("f") else scaled.round()).astype(self.dtype)


DEPTHS = [
    Depth("8 bits", 8, "u1", 0, 255),
    Depth("12 bits packed", 12, "u2", 0, 4095),
    Depth("10 bits in 16", 16, "u2", 0, 1023),
    Depth("12 bits in 16", 16, "u2", 0, 4095),
    Depth("16 bits", 16, "u2", 0, 65535),
    Depth("16 bits in 32", 32, "u4", 0, 65535),
    Depth("32 bits", 32, "u4", 0, 2**32 - 1),
    Depth("signed 8 bits", 8, "i1", -128, 127),
    Depth("signed 16 bits", 16, "i2", -32768, 32767),
    Depth("12 bits in signed 16", 16, "i2", 0, 4095),
    Depth("signed 32 bits", 32, "i4", -(2**31), 2**31 - 1),
    Depth("float16 to 1", 16, "f2", 0, 1),
    Depth("float32 to 1", 32, "f4", 0, 1),
    Depth("float32 to 255", 32, "f4", 0, 255),
    Depth("float32 to 4095", 32, "f4", 0, 4095),
    Depth("float64 to 1", 64, "f8", 0, 1),
    Depth("float64 to 65535", 64, "f8", 0, 65535),
]


def inverted(samples: Array, depth: Depth) -> Array:
    total = np.array(depth.black + depth.white, dtype=np.float64)
    return (total - samples.astype(np.float64)).astype(samples.dtype)


@pytest.mark.parametrize("depth", DEPTHS, ids=lambda depth: depth.name)
@pytest.mark.parametrize(("is_big_endian", "is_deflated"), [(False, False), (True, True)], ids=["little plain", "big deflated"])
class TestTiff:
    """Byte order and compression are handled by separate code, so two of their four combinations are enough."""

    @pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO], ids=["white is zero", "black is zero"])
    def test_grey(self, depth: Depth, is_big_endian: bool, is_deflated: bool, photometric: int) -> None:
        samples = depth.of(known_grey())
        stored = inverted(samples, depth) if photometric == WHITE_IS_ZERO else samples
        page = Page(stored, photometric, depth.bits, is_deflated=is_deflated, rows_per_strip=7)
        assert difference(decode_image(write_tiff(page, is_big_endian=is_big_endian)), known_grey()) <= MAX_DIFFERENCE

    @pytest.mark.parametrize("is_planar", [False, True], ids=["chunky", "planar"])
    def test_rgb(self, depth: Depth, is_big_endian: bool, is_deflated: bool, is_planar: bool) -> None:
        page = Page(depth.of(known_rgb()), RGB, depth.bits, is_planar, is_deflated, rows_per_strip=7)
        assert difference(decode_image(write_tiff(page, is_big_endian=is_big_endian)), known_rgb()) <= MAX_DIFFERENCE

    @pytest.mark.parametrize(
        ("is_planar", "is_premultiplied"),
        [(False, False), (False, True), (True, True)],
        ids=["chunky alpha", "chunky premultiplied", "planar premultiplied"],
    )
    def test_rgb_with_alpha(
        self, depth: Depth, is_big_endian: bool, is_deflated: bool, is_planar: bool, is_premultiplied: bool
    ) -> None:
        colours, alpha = known_rgb(), known_alpha()
        multiplied = (colours * (alpha / 255)).round().astype(np.uint8) if is_premultiplied else colours
        samples = depth.of(np.concatenate([multiplied, alpha], axis=-1))
        extra = (1 if is_premultiplied else 2,)
        page = Page(samples, RGB, depth.bits, is_planar, is_deflated, extra_samples=extra)
        encoded = write_tiff(page, is_big_endian=is_big_endian)
        if depth.dtype.startswith("i") and is_premultiplied:
            with pytest.raises(UnsupportedKindError, match="signed"):
                decode_image(encoded)
            return
        assert difference(decode_image(encoded), on_white(colours, alpha)) <= MAX_DIFFERENCE

    def test_grey_with_alpha(self, depth: Depth, is_big_endian: bool, is_deflated: bool) -> None:
        samples = depth.of(np.concatenate([known_grey(), known_alpha()], axis=-1))
        page = Page(samples, BLACK_IS_ZERO, depth.bits, is_deflated=is_deflated, extra_samples=(2,))
        picture = decode_image(write_tiff(page, is_big_endian=is_big_endian))
        assert difference(picture, on_white(known_grey(), known_alpha())) <= MAX_DIFFERENCE

    @pytest.mark.parametrize("is_planar", [False, True], ids=["chunky", "planar"])
    def test_cmyk(self, depth: Depth, is_big_endian: bool, is_deflated: bool, is_planar: bool) -> None:
        inks = np.concatenate([255 - known_rgb(), np.zeros_like(known_grey())], axis=-1)
        page = Page(depth.of(inks), CMYK, depth.bits, is_planar, is_deflated)
        assert difference(decode_image(write_tiff(page, is_big_endian=is_big_endian)), known_rgb()) <= MAX_DIFFERENCE


def palette_tiff(depth: Depth, *, is_big_endian: bool = False, is_deflated: bool = False) -> bytes:
    colours = tuple(value * 257 for band in (range(256), range(255, -1, -1), [9] * 256) for value in band)
    page = Page(depth.of(known_grey()), PALETTE, depth.bits, is_deflated=is_deflated, tags={320: ("H", colours)})
    return write_tiff(page, is_big_endian=is_big_endian)


@pytest.mark.parametrize("is_big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("is_deflated", [False, True], ids=["plain", "deflated"])
def test_tiff_with_a_palette_of_8_bits(is_big_endian: bool, is_deflated: bool) -> None:
    grey = known_grey()
    picture = decode_image(palette_tiff(DEPTHS[0], is_big_endian=is_big_endian, is_deflated=is_deflated))
    assert difference(picture, np.concatenate([grey, 255 - grey, grey * 0 + 9], axis=-1)) <= MAX_DIFFERENCE


@pytest.mark.parametrize("depth", [DEPTHS[1], DEPTHS[4], DEPTHS[12]], ids=lambda depth: depth.name)
def test_tiff_with_a_palette_of_other_depths_is_refused(depth: Depth) -> None:
    with pytest.raises(UnsupportedKindError, match=f"{depth.bits} bits .*palette"):
        decode_image(palette_tiff(depth))


@pytest.mark.parametrize(("bits", "photometric"), list(itertools.product((1, 2, 4), (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB))))
@pytest.mark.parametrize("is_planar", [False, True], ids=["chunky", "planar"])
def test_tiff_of_few_bits(bits: int, photometric: int, is_planar: bool) -> None:
    colours = known_rgb() if photometric == RGB else known_grey()
    largest = 2**bits - 1
    few = (colours.astype(int) * largest + 127) // 255
    stored = largest - few if photometric == WHITE_IS_ZERO else few
    picture = decode_image(write_tiff(Page(stored.astype(np.uint8), photometric, bits, is_planar)))
    assert difference(picture, (few * 255 // largest).astype(np.uint8)) <= MAX_DIFFERENCE


@pytest.mark.parametrize("tile_side", [None, 16, 64])
@pytest.mark.parametrize(("dtype", "predictor"), [("u1", 2), ("u2", 2), ("u4", 2), ("f4", 2), ("f2", 3), ("f4", 3), ("f8", 3)])
@pytest.mark.parametrize(("is_big_endian", "is_planar"), [(False, False), (True, True)], ids=["little chunky", "big planar"])
def test_tiff_with_a_predictor_in_tiles_and_strips(
    tile_side: int | None, dtype: str, predictor: int, is_big_endian: bool, is_planar: bool
) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    white = 1 if dtype.startswith("f") else 2**bits - 1
    samples = Depth("", bits, dtype, 0, white).of(known_rgb())
    page = Page(samples, RGB, bits, is_planar, is_deflated=True, predictor=predictor, tile_side=tile_side)
    assert difference(decode_image(write_tiff(page, is_big_endian=is_big_endian)), known_rgb()) <= MAX_DIFFERENCE


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd", "lzma", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_tiff_as_libtiff_packs_it(compression: str, mode: str) -> None:
    values = known_grey()[..., 0]
    wide = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(values.astype(np.float32))
    assert difference(decode_image(encode(wide, "TIFF", compression=compression)), known_grey()) <= MAX_DIFFERENCE


@pytest.mark.parametrize("num_bands", [1, 2, 3, 4])
@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_png(num_bands: int, white: int) -> None:
    colours = known_grey() if num_bands < 3 else known_rgb()
    has_alpha = num_bands in (2, 4)
    samples = np.concatenate([colours, known_alpha()], axis=-1) if has_alpha else colours
    bits = 8 if white == 255 else 16
    encoded = write_png((samples.astype(np.float64) * white / 255).round(), bits)
    expected = on_white(colours, known_alpha()) if has_alpha else colours
    assert difference(decode_image(encoded), expected) <= MAX_DIFFERENCE


@pytest.mark.parametrize(("num_bands", "bits"), [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (3, 8), (3, 16)])
def test_png_with_one_colour_that_is_transparent(num_bands: int, bits: int) -> None:
    largest = 2**bits - 1
    samples = np.zeros((10, 20, num_bands), np.uint16)
    samples[:, 10:] = largest if bits < 16 else 300
    samples[0, 0] = largest
    key = b"".join(int(value).to_bytes(2, "big") for value in samples[5, 15])
    picture = decode_image(write_png(samples, bits, png_chunk(b"tRNS", key)))
    assert picture.getpixel((15, 5)) == (255, 255, 255)
    assert picture.getpixel((5, 5)) == (0, 0, 0)


LOSSLESS = [
    ("PNG", {}),
    ("WEBP", {"lossless": True, "exact": True}),
    ("TIFF", {}),
    ("BMP", {}),
    ("JPEG2000", {"irreversible": False}),
]
LOSSY = [
    ("JPEG", {"quality": 95, "subsampling": 0}),
    ("WEBP", {"quality": 95}),
    ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
]


@pytest.mark.parametrize(("image_format", "options"), LOSSLESS + LOSSY, ids=lambda value: str(value))
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "LA", "PA", "RGBA"])
def test_what_pillow_writes(image_format: str, options: dict[str, Any], mode: str) -> None:
    alpha = known_alpha()
    grey, rgb = Image.fromarray(known_grey()[..., 0]), Image.fromarray(known_rgb())
    image = (grey if mode in ("1", "L", "LA") else rgb).convert(mode.removesuffix("A"), palette=Image.Palette.ADAPTIVE)
    expected = np.asarray(image.convert("RGB"))
    if mode.endswith("A"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(alpha[..., 0]))
        expected = on_white(np.asarray(image.convert("RGBA"))[..., :3], alpha)
        if image_format == "BMP":  # its header has no alpha, and the fourth byte no meaning
            expected = np.asarray(image.convert("RGB"))
    try:
        encoded = encode(image, image_format, **options)
    except (OSError, KeyError):
        pytest.skip(f"Pillow writes no {image_format} of {mode}")
    with_bound = MAX_DIFFERENCE if (image_format, options) in LOSSLESS else MAX_LOSSY_DIFFERENCE
    assert difference(decode_image(encoded), expected) <= with_bound


@pytest.mark.parametrize(("bits", "bound"), [(8, 255), (12, 4095), (16, 65535)])
def test_jpeg_2000_of_grey(bits: int, bound: int) -> None:
    values = (known_grey()[..., 0].astype(np.float64) * bound / 255).round().astype(np.uint8 if bits == 8 else np.uint16)
    encoded = encode(Image.fromarray(values), "JPEG2000", irreversible=False)
    assert difference(decode_image(encoded), known_grey()) <= MAX_DIFFERENCE


REFUSED = [
    ("13 bands of 16 bits", Page(np.zeros((10, 10, 13), np.uint16), BLACK_IS_ZERO, 16, extra_samples=(0,) * 12)),
    ("5 bands of 8 bits", Page(np.zeros((10, 10, 5), np.uint8), BLACK_IS_ZERO, 8, extra_samples=(0,) * 4)),
    ("3 bands of 8 bits .*black-is-zero", Page(np.zeros((10, 10, 3), np.uint8), BLACK_IS_ZERO, 8, extra_samples=(0, 0))),
    ("2 bands of 8 bits", Page(np.zeros((10, 10, 2), np.uint8), BLACK_IS_ZERO, 8, extra_samples=(0,))),
    ("a mask", Page(np.zeros((10, 10, 1), np.uint8), 4, 1)),
    ("raw sensor values", Page(np.zeros((10, 10, 1), np.uint16), 32803, 16)),
    ("CIELab", Page(np.zeros((10, 10, 3), np.uint16), 8, 16)),
    ("YCbCr", Page(np.zeros((10, 10, 3), np.uint8), 6, 8)),
    ("compression method 34887", Page(np.zeros((10, 10, 1), np.uint8), 1, 8, tags={259: ("H", (34887,))})),
    ("samples of other kinds", Page(np.zeros((10, 10, 1), np.uint64), 1, 64, tags={339: ("H", (6,))})),
    ("camera RAW photo .DNG", Page(np.zeros((10, 10, 3), np.uint8), RGB, 8, tags={50706: ("B", (1, 4, 0, 0))})),
    ("camera RAW photo .NEF, ARW", Page(np.zeros((10, 10, 3), np.uint8), RGB, 8, tags={254: ("I", (1,)), 330: ("I", (8,))})),
]


@pytest.mark.parametrize(("kind", "page"), REFUSED, ids=[kind for kind, _ in REFUSED])
def test_a_good_file_of_an_unsupported_kind_is_refused_by_its_kind(kind: str, page: Page) -> None:
    with pytest.raises(UnsupportedKindError, match=kind) as caught:
        decode_image(write_tiff(page))
    assert "Convert it" in caught.value.remedy
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_extra_bands_of_rgb_that_are_no_alpha_are_left_out(dtype: str) -> None:
    extra = np.random.default_rng(0).integers(0, 256, (*known_rgb().shape[:2], 2), np.uint8)
    bits = 8 * np.dtype(dtype).itemsize
    samples = Depth("", bits, dtype, 0, 1 if dtype == "f4" else 2**bits - 1).of(np.concatenate([known_rgb(), extra], axis=-1))
    for extra_samples in ((0, 0), ()):
        encoded = write_tiff(Page(samples[..., : 3 + max(1, len(extra_samples))], RGB, bits, extra_samples=extra_samples))
        assert difference(decode_image(encoded), known_rgb()) <= MAX_DIFFERENCE


WIDE_FILES = [
    write_tiff(Page(DEPTHS[4].of(known_grey()), bits=16, is_deflated=True, rows_per_strip=9)),
    write_tiff(Page(DEPTHS[12].of(known_rgb()), RGB, 32, is_planar=True, is_deflated=True, predictor=3), is_big_endian=True),
    write_tiff(Page(DEPTHS[15].of(known_grey()), bits=64, tile_side=16, tags={42113: ("s", (b"-9999\0",))}), is_big_tiff=True),
    write_png(DEPTHS[4].of(known_rgb()), 16, png_chunk(b"sBIT", bytes([12, 12, 12]))),
]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.data(), encoded=st.sampled_from(WIDE_FILES))
def test_damaged_bytes_of_wide_samples_give_an_image_or_an_image_error(data: st.DataObject, encoded: bytes) -> None:
    damaged = bytearray(encoded)
    last = len(encoded) - 1
    places = st.one_of(st.integers(0, 60), st.integers(last - 400, last), st.integers(0, last))
    for position, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        damaged[position] = value
    message, mode = "", "RGB"
    try:
        mode = decode_image(bytes(damaged), replace(DEFAULT_LIMITS, max_image_pixels=1_000_000)).mode
    except ImageError as error:
        message = str(error)
    assert mode == "RGB"
    assert " at 0x" not in message
