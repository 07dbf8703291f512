"""One image decoded from bytes: refusals with their reasons, and results."""

from __future__ import annotations

import io
import random
import struct
import threading
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tests.fixtures.tiff_writer import BLACK_IS_ZERO, RGB, Page, write_tiff
from vtt_core.contract.errors import (
    AnimatedImageError,
    EmptyFileError,
    ImageDimensionsError,
    ImageError,
    ImageTooManyBytesError,
    NotAnImageError,
    TruncatedImageError,
    UnsupportedKindError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.decode import FORMATS, ImageFacts, decode_image, inspect_image

ORIENTATION = 0x0112


def sample(mode: str = "RGB", width: int = 40, height: int = 24) -> Image.Image:
    """A picture with structure, so that no format packs it to nothing."""
    image = Image.new("RGB", (width, height), (250, 200, 30))
    ImageDraw.Draw(image).ellipse((2, 2, width // 2, height - 3), fill=(20, 40, 220))
    noise = random.Random(0).randbytes(width // 2 * height)
    image.paste(Image.frombytes("L", (width // 2, height), noise), (width // 2, 0))
    return image.convert(mode)


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def sixteen_bits(values: list[int], image_format: str = "PNG") -> bytes:
    pixels = b"".join(value.to_bytes(2, "little") for value in values for _ in range(10)) * 10
    return encode(Image.frombytes("I;16", (10 * len(values), 10), pixels), image_format)


class TestWhatDecodes:
    @pytest.mark.parametrize("image_format", FORMATS)
    def test_every_format_gives_rgb_of_the_same_size(self, image_format: str) -> None:
        encoded = encode(sample(), image_format)
        image = decode_image(encoded)
        assert (image.mode, image.size) == ("RGB", (40, 24))
        assert inspect_image(encoded) == ImageFacts(width=40, height=24, image_format=image_format)

    @pytest.mark.parametrize(
        ("mode", "image_format"),
        [
            ("L", "PNG"),
            ("P", "PNG"),
            ("RGB", "PNG"),
            ("RGB", "JPEG"),
            ("RGB", "WEBP"),
            ("RGB", "BMP"),
            ("1", "TIFF"),
            ("CMYK", "JPEG"),
            ("CMYK", "TIFF"),
        ],
    )
    def test_other_colours_become_rgb_as_pillow_converts_them(self, mode: str, image_format: str) -> None:
        encoded = encode(sample(mode), image_format)
        with Image.open(io.BytesIO(encoded)) as opened:
            assert opened.mode == mode
            assert decode_image(encoded).tobytes() == opened.convert("RGB").tobytes()

    def test_a_palette_with_transparent_entries_decodes_without_a_warning(self) -> None:
        encoded = encode(sample("P"), "PNG", transparency=bytes([0, 128, 255]))
        assert decode_image(encoded).mode == "RGB"

    @pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
    def test_grey_of_16_bits_is_scaled_and_not_clipped(self, image_format: str) -> None:
        image = decode_image(sixteen_bits([0, 257 * 64, 257 * 128, 65535], image_format))
        assert [image.getpixel((10 * step + 5, 5))[0] for step in range(4)] == [0, 64, 128, 255]

    def test_an_image_of_16_bits_is_scaled_by_the_bits_that_it_uses(self) -> None:
        assert decode_image(sixteen_bits([0, 2048, 4095])).getextrema()[0] == (0, 255)
        assert decode_image(sixteen_bits([0, 20_560])).getextrema()[0] == (0, 80)

    @pytest.mark.parametrize(
        ("mode", "values", "expected"),
        [
            ("I", (0, 65535), (0, 255)),
            ("I", (-1000, 3_000_000), (0, 255)),
            ("F", (0.0, 1.0), (0, 255)),
            ("F", (0.0, 51.0), (0, 51)),
            ("F", (-5.0, 1e6), (0, 255)),
        ],
    )
    def test_wide_grey_uses_its_usual_white_or_its_own_extremes(
        self, mode: str, values: tuple[float, float], expected: tuple[int, int]
    ) -> None:
        wide = Image.new(mode, (20, 10), values[0])
        wide.paste(values[1], (10, 0, 20, 10))
        assert decode_image(encode(wide, "TIFF")).getextrema()[0] == expected

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_the_orientation_tag_is_applied(self, orientation: int) -> None:
        upright = sample().convert("L").convert("RGB")
        undo = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = upright.transpose(undo[orientation]) if orientation in undo else upright
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        encoded = encode(stored, "PNG", exif=exif)
        assert decode_image(encoded).tobytes() == upright.tobytes()
        assert inspect_image(encoded) == ImageFacts(width=40, height=24, image_format="PNG")

    def test_metadata_is_dropped(self) -> None:
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        image = decode_image(encode(sample(), "JPEG", exif=exif, comment=b"where it was taken", dpi=(300, 300)))
        assert image.info == {}
        assert len(image.getexif()) == 0

    def test_damaged_metadata_does_not_cost_the_picture(self) -> None:
        encoded = encode(sample(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\0\0\0")
        assert decode_image(encoded).size == (40, 24)

    def test_a_camera_file_with_a_second_picture_gives_the_first(self) -> None:
        encoded = encode(sample(), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 24))])
        with Image.open(io.BytesIO(encoded)) as opened:
            assert opened.format == "MPO"
        assert inspect_image(encoded).image_format == "JPEG"
        assert decode_image(encoded).getextrema()[0][1] > 200


class TestWhatIsRefused:
    def test_no_bytes(self) -> None:
        with pytest.raises(EmptyFileError):
            decode_image(b"")

    @pytest.mark.parametrize(
        "encoded", [b"hello", b"%PDF-1.7 ...", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\0" * 500, b"PK\x03\x04 zip"]
    )
    def test_bytes_that_are_not_an_image(self, encoded: bytes) -> None:
        with pytest.raises(NotAnImageError):
            decode_image(encoded)

    def test_a_format_outside_the_list_is_not_opened(self) -> None:
        with pytest.raises(NotAnImageError):
            decode_image(encode(sample(), "PPM"))

    @pytest.mark.parametrize("image_format", FORMATS)
    @pytest.mark.parametrize("kept", [0.5, 0.9])
    def test_what_ends_early(self, image_format: str, kept: float) -> None:
        encoded = encode(sample(width=200, height=200), image_format)
        with pytest.raises(TruncatedImageError):
            decode_image(encoded[: int(len(encoded) * kept)])

    def test_what_ends_within_the_header(self) -> None:
        with pytest.raises(TruncatedImageError):
            decode_image(encode(sample(), "PNG")[:20])

    @pytest.mark.parametrize(("image_format", "options"), [("GIF", {}), ("WEBP", {}), ("PNG", {}), ("TIFF", {}), ("AVIF", {})])
    def test_several_frames(self, image_format: str, options: dict[str, Any]) -> None:
        frames = [sample(), Image.new("RGB", (40, 24), "red"), Image.new("RGB", (40, 24), "blue")]
        encoded = encode(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        with pytest.raises(AnimatedImageError, match=image_format):
            decode_image(encoded)

    def test_too_many_bytes(self) -> None:
        with pytest.raises(ImageTooManyBytesError, match="at most 100 bytes"):
            decode_image(encode(sample(), "PNG"), replace(DEFAULT_LIMITS, max_image_bytes=100))

    def test_too_many_pixels_are_refused_before_decoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        encoded = encode(Image.new("1", (9000, 9000)), "PNG")
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
        with pytest.raises(ImageDimensionsError, match="9000 x 9000"):
            decode_image(encoded)

    @pytest.mark.slow
    @pytest.mark.parametrize("side", [10_000, 20_000])
    def test_pillows_own_bomb_bounds_are_errors_here(self, side: int) -> None:
        with pytest.raises(ImageDimensionsError):
            decode_image(encode(Image.new("1", (side, side)), "TIFF", compression="group4"))

    def test_too_small_a_side(self) -> None:
        with pytest.raises(ImageDimensionsError, match="at least 8 pixels"):
            decode_image(encode(sample(width=40, height=7), "PNG"))

    def test_too_long_a_side(self) -> None:
        with pytest.raises(ImageDimensionsError, match="20 times"):
            decode_image(encode(sample(width=400, height=19), "PNG"))
        assert decode_image(encode(sample(width=400, height=20), "PNG")).size == (400, 20)

    @pytest.mark.parametrize("image_format", FORMATS)
    def test_a_message_about_damage_tells_nothing_of_the_decoders(self, image_format: str) -> None:
        for kept in (12, 30, 200):
            with pytest.raises(ImageError) as caught:
                decode_image(encode(sample(width=200, height=200), image_format)[:kept])
            assert "0x" not in str(caught.value)
            assert "PIL" not in str(caught.value)

    def test_a_known_unsupported_format_is_named(self) -> None:
        with pytest.raises(NotAnImageError, match="got a JPEG XL picture"):
            decode_image(b"\xff\x0a" + bytes(100))

    def test_an_unsupported_kind_of_jpeg_is_named(self) -> None:
        encoded = bytearray(encode(sample(), "JPEG"))
        at = encoded.index(b"\xff\xc0")
        encoded[at + 4] = 12
        with pytest.raises(UnsupportedKindError, match="a JPEG of 12 bits"):
            decode_image(bytes(encoded))

    def test_an_error_says_what_came_and_what_to_do(self) -> None:
        with pytest.raises(NotAnImageError) as caught:
            decode_image(b"GARBAGE!")
        assert "GARBAGE!" in caught.value.got
        assert caught.value.remedy == "Convert it to JPEG or PNG"


class TestFuzzed:
    @pytest.mark.slow
    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), image_format=st.sampled_from(FORMATS))
    def test_damaged_bytes_give_an_image_or_an_image_error(self, data: st.DataObject, image_format: str) -> None:
        encoded = bytearray(encode(sample(), image_format))
        for position, value in data.draw(
            st.lists(st.tuples(st.integers(0, len(encoded) - 1), st.integers(0, 255)), min_size=1, max_size=12)
        ):
            encoded[position] = value
        try:
            image = decode_image(bytes(encoded), replace(DEFAULT_LIMITS, max_image_pixels=1_000_000))
        except ImageError:
            return
        assert image.mode == "RGB"

    @settings(max_examples=60, deadline=None)
    @given(
        st.binary(min_size=1, max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a"])
    )
    def test_random_bytes_are_refused(self, noise: bytes, signature: bytes) -> None:
        with pytest.raises(ImageError):
            decode_image(signature + noise)

    @settings(max_examples=40, deadline=None)
    @given(width=st.integers(1, 90), height=st.integers(1, 90))
    def test_exactly_the_sizes_within_the_limits_pass(self, width: int, height: int) -> None:
        is_allowed = min(width, height) >= 8
        try:
            assert decode_image(encode(Image.new("L", (width, height)), "PNG")).size == (width, height)
        except ImageDimensionsError:
            assert not is_allowed
        else:
            assert is_allowed


class TestWarnings:
    def test_the_filters_are_as_before_afterwards(self) -> None:
        before = list(warnings.filters)
        decode_image(encode(sample("P"), "PNG", transparency=bytes([0, 128, 255])))
        with pytest.raises(NotAnImageError):
            decode_image(b"no image")
        assert list(warnings.filters) == before

    def test_threads_decode_side_by_side_and_leave_the_filters_as_they_were(self) -> None:
        encoded = encode(sample("P"), "PNG", transparency=bytes([0, 128, 255]))
        before, sizes = list(warnings.filters), []

        def decode_often() -> None:
            sizes.extend(decode_image(encoded).size for _ in range(20))

        threads = [threading.Thread(target=decode_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sizes == [(40, 24)] * 80
        assert list(warnings.filters) == before


@pytest.mark.parametrize("num_bands", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_that_does_not_say_what_its_samples_mean_is_read_as_libtiff_does(num_bands: int, bits: int) -> None:
    samples = np.random.default_rng(0).integers(0, 2**bits, (16, 16, num_bands)).astype("u1" if bits == 8 else "u2")
    said = write_tiff(Page(samples, RGB if num_bands == 3 else BLACK_IS_ZERO, bits=bits))
    unsaid = said.replace(struct.pack("<HH", 262, 3), struct.pack("<HH", 263, 3))
    assert unsaid != said
    assert decode_image(unsaid).tobytes() == decode_image(said).tobytes()
