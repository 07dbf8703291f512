"""Decode an opened image to 8 bits, and correct what Pillow misreads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.avif import coded_colours
from vtt_core.ingest.brightness import Numbers
from vtt_core.ingest.coded_colours import profile_of
from vtt_core.ingest.colour import on_white, srgb_transform
from vtt_core.ingest.jpeg2000 import (
    Jpeg2000Header,
    check_jpeg2000_cost,
    check_jpeg2000_kind,
    check_jpeg2000_tiles,
    read_jpeg2000,
)
from vtt_core.ingest.orientation import UPRIGHT, orientation_exif
from vtt_core.ingest.png_header import PngHeader, read_png_header
from vtt_core.ingest.tiff_directory import Directory, Tag
from vtt_core.ingest.tiff_layout import Layout

if TYPE_CHECKING:
    from vtt_core.ingest.samples import Samples

PROFILE = "icc_profile"
_KEPT_INFO = ("exif", "xmp", "XML:com.adobe.xmp")
"""Metadata that may hold the orientation."""


def read_pixels(image: Image.Image, encoded: bytes) -> Image.Image:
    """Decode an image that Pillow has opened.

    Args:
        image: opened, not loaded.
        encoded: its bytes.

    Returns:
        an image of at most 8 bits a sample, not yet turned. Its `info` has the orientation, and the ICC profile if the colours
        still need converting.

    Raises:
        UnsupportedKindError: Pillow would misread the pixels.
        ImageTooComplexError: decoding a JPEG 2000 would cost far more than its pixels need.
    """
    read = _READERS.get(str(image.format))
    if read is not None:
        return read(image, encoded)
    image.load()
    return image


def read_wide_tiff(page: Directory, layout: Layout) -> Image.Image:
    """Decode a TIFF of a kind that Pillow does not read. The result is like that of `read_pixels`.

    Raises:
        ImageTooComplexError: unpacking it would take too much memory.
        UnsupportedKindError: every pixel is missing.
    """
    from vtt_core.ingest.tiff_samples import samples_of  # noqa: PLC0415  # numpy: see samples.py

    return _with_orientation(from_samples(samples_of(page, layout), page.content(Tag.ICC_PROFILE)), page)


def read_band_tiff(page: Directory, layout: Layout, choice: BandChoice) -> Image.Image:
    """Show three bands of a TIFF. The result is like that of `read_pixels`.

    Raises:
        ImageTooComplexError: unpacking it would take too much memory.
        UnsupportedKindError: it has no such bands.
    """
    from vtt_core.ingest.tiff_bands import shown_bands  # noqa: PLC0415  # numpy: see samples.py

    return _with_orientation(shown_bands(page, layout, choice), page)


def _with_orientation(image: Image.Image, page: Directory) -> Image.Image:
    if Tag.ORIENTATION in page.entries:
        image.info["exif"] = orientation_exif(page.number(Tag.ORIENTATION, UPRIGHT))
    image.info["xmp"] = page.content(Tag.XMP)
    return image


def without_unnamed_alpha(image: Image.Image, layout: Layout) -> Image.Image:
    """Return a TIFF's image without a fourth band that only Pillow takes for alpha."""
    return image if layout.has_alpha or image.mode != "RGBA" else image.convert("RGB")


def from_samples(samples: Samples, profile: object) -> Image.Image:
    """Return an 8-bit image of samples, in sRGB if they have an ICC profile.

    Raises:
        UnsupportedKindError: every pixel is missing.
    """
    from vtt_core.ingest.samples import eight_bits  # noqa: PLC0415  # numpy: see samples.py

    mode = {1: "L", 3: "RGB", 4: "CMYK"}[samples.num_colours]
    colours, alpha = eight_bits(samples, srgb_transform(profile, mode))
    return on_white(colours, alpha)


def _turned_as(image: Image.Image, original: Image.Image) -> Image.Image:
    image.info = {key: value for key, value in original.info.items() if key in _KEPT_INFO}
    return image


def _read_png(image: Image.Image, encoded: bytes) -> Image.Image:
    header = read_png_header(encoded)
    if header.coded_colours is not None:
        image.info[PROFILE] = profile_of(header.coded_colours)
    if header.bits == 16:
        return _read_wide_png(image, encoded, header)
    image.load()
    if header.key and image.mode == "L":  # Pillow scales 2-bit and 4-bit grey, but not the transparent value
        image.info["transparency"] = header.key[0] * 255 // (2**header.bits - 1)
    return image


def _read_wide_png(image: Image.Image, encoded: bytes, header: PngHeader) -> Image.Image:
    from vtt_core.ingest.png_samples import samples_of  # noqa: PLC0415  # numpy: see samples.py

    samples = samples_of(encoded, header)
    return _turned_as(from_samples(samples, image.info.get(PROFILE)), image)


def _read_avif(image: Image.Image, encoded: bytes) -> Image.Image:
    colours = coded_colours(encoded)
    profile = profile_of(colours) if colours is not None else None
    image.info.setdefault(PROFILE, profile)
    image.load()
    return image


def _read_jpeg2000(image: Image.Image, encoded: bytes) -> Image.Image:
    header = read_jpeg2000(encoded)
    check_jpeg2000_kind(header)
    check_jpeg2000_cost(header)
    check_jpeg2000_tiles(header)
    image.load()
    bits = header.bits[0]
    if image.mode == "I;16":
        return _turned_as(from_samples(_grey_samples(image, bits), header.profile), image)
    _check_depth(image, header)
    if bits < 8 and image.mode not in ("P", "PA"):  # Pillow only shifts the bits up, which turns white into grey
        largest = (2**bits - 1) << (8 - bits)
        image = _turned_as(
            image.point([min(255, round(value * 255 / largest)) for value in range(256)] * len(image.mode)), image
        )
    if header.profile is not None:
        image.info[PROFILE] = header.profile
    return image


def _grey_samples(image: Image.Image, bits: int) -> Samples:
    """Return grey samples that OpenJPEG has shifted up to 16 bits. The header's depth tells what is white."""
    from vtt_core.ingest.samples import Samples, blocks_of  # noqa: PLC0415  # numpy: see samples.py

    declared = (0.0, float((2**bits - 1) << (16 - bits))) if bits < 16 else None
    return Samples(
        image.width, image.height, Numbers.UNSIGNED, 16, num_colours=1, blocks=lambda: blocks_of(image), declared=declared
    )


def _check_depth(image: Image.Image, header: Jpeg2000Header) -> None:
    """Refuse 16-bit colours that use fewer bits: Pillow keeps only the upper 8."""
    if header.bits[0] < 16 or max(band.getextrema()[1] for band in image.split()[:3]) >= 64:  # type: ignore[operator]
        return
    raise UnsupportedKindError(
        expected="a JPEG 2000 whose colours fill its 16 bits",
        got="one that uses at most 14 of them",
        remedy="Convert it to 8-bit RGB",
    )


_READERS: dict[str, Callable[[Image.Image, bytes], Image.Image]] = {
    "PNG": _read_png,
    "AVIF": _read_avif,
    "JPEG2000": _read_jpeg2000,
}
