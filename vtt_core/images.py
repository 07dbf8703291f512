"""Decode one image from bytes that nobody vouches for.

File names and declared types are never looked at. What can be read from the header (format, width,
height, number of frames) is checked before any pixel is decoded. What comes back is RGB, upright,
and carries no metadata.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from PIL import Image, UnidentifiedImageError

from vtt_core.contract.errors import (
    AnimatedImageError,
    EmptyFileError,
    ImageDimensionsError,
    ImageError,
    ImageTooManyBytesError,
    NotAnImageError,
    TruncatedImageError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.image_cost import check_cost
from vtt_core.ingest.orientation import turn_upright

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Every format that is opened. Pillow knows many more, among them decoders that few people test."""

_BAND_PIXELS = 2**20
"""Pixels of more than 8 bits that are scaled together."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"GIF8")
"""First bytes of the formats above: what begins so and cannot be opened is damaged, not something else."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that decodes."""

    width: int
    """In pixels, upright."""
    height: int
    """In pixels, upright."""
    image_format: str
    """One of FORMATS."""


def decode_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Return the image as RGB, with its EXIF orientation applied and its metadata dropped.

    Palette, CMYK and alpha become RGB by Pillow's conversion, as in open_clip's preprocessing; grey
    of 16 and more bits is scaled to 8 bits, where Pillow alone would clip it.

    Args:
        encoded: the file as it was sent.
        limits: bounds on bytes, pixels and ratio.

    Raises:
        EmptyFileError: there are no bytes.
        ImageTooManyBytesError: there are more bytes than allowed.
        NotAnImageError: they are of no format that is read.
        ImageDimensionsError: the header announces a size or ratio outside the limits.
        AnimatedImageError: there is more than one frame or page.
        ImageTooComplexError: decoding it would take too long or too much memory.
        TruncatedImageError: the pixels end early or are damaged.
    """
    return _decode(encoded, limits)[0]


def inspect_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> ImageFacts:
    """Decode the image wholly and return what it is; whatever passes here can be trained on.

    Raises:
        ImageError: as decode_image.
    """
    image, image_format = _decode(encoded, limits)
    return ImageFacts(width=image.width, height=image.height, image_format=image_format)


def _decode(encoded: bytes, limits: Limits) -> tuple[Image.Image, str]:
    if not encoded:
        raise EmptyFileError(expected="an image file", got="0 bytes", remedy="Send the file again")
    if len(encoded) > limits.max_image_bytes:
        raise ImageTooManyBytesError(
            expected=f"at most {limits.max_image_bytes} bytes", got=f"{len(encoded)} bytes", remedy="Scale the image down"
        )
    with _quiet_pillow(), _open(encoded, limits) as image:
        _check_dimensions(image.width, image.height, limits)
        try:
            _check_frames(image)
            check_cost(image, encoded)
            image.load()
            return _upright_rgb(image), "JPEG" if image.format == "MPO" else str(image.format)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # damaged bytes make the decoders raise about anything
            raise _damaged(error) from error


def _open(encoded: bytes, limits: Limits) -> Image.Image:
    """Read the header with the decoders of FORMATS only."""
    try:
        return Image.open(io.BytesIO(encoded), formats=FORMATS)
    except Image.DecompressionBombError as error:  # Pillow's own bound, far above ours by default
        raise ImageDimensionsError(
            expected=f"at most {limits.max_image_pixels} pixels",
            got=f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} announced in the header",
            remedy="Scale the image down",
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        is_foreign = isinstance(error, UnidentifiedImageError) and not encoded.startswith(_SIGNATURES)
        if not is_foreign:
            raise _damaged(error) from error
        raise NotAnImageError(
            expected="an image in one of the formats " + ", ".join(FORMATS),
            got=f"{len(encoded)} bytes beginning with {encoded[:12]!r}",
            remedy="Convert it to JPEG or PNG",
        ) from error


def _check_dimensions(width: int, height: int, limits: Limits) -> None:
    short, long = sorted((width, height))
    got = f"{width} x {height}"
    if width * height > limits.max_image_pixels:
        raise ImageDimensionsError(
            expected=f"at most {limits.max_image_pixels} pixels", got=f"{got} pixels", remedy="Scale the image down"
        )
    if short < limits.min_side_pixels:
        raise ImageDimensionsError(
            expected=f"sides of at least {limits.min_side_pixels} pixels", got=f"{got} pixels", remedy="Send a larger image"
        )
    if long > limits.max_side_ratio * short:
        raise ImageDimensionsError(
            expected=f"a long side of at most {limits.max_side_ratio:g} times the short one",
            got=f"{got} pixels",
            remedy="Crop the image to what matters",
        )


def _check_frames(image: Image.Image) -> None:
    """Refuse several frames; the second picture of a camera's MPO file is only a preview or the other eye."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return
    raise AnimatedImageError(
        expected="one still picture",
        got=f"a {image.format} file of several frames",
        remedy="Send the frame that is meant as an image of its own",
    )


def _damaged(error: Exception) -> TruncatedImageError:
    return TruncatedImageError(
        expected="a complete image file",
        got=f"damaged data ({str(error)[:120] or type(error).__name__})",
        remedy="Send the file again or save it anew from an image program",
    )


def _upright_rgb(image: Image.Image) -> Image.Image:
    turn_upright(image)
    rgb = _eight_bits(image)
    try:
        rgb = rgb.convert("RGB")
    except ValueError as error:
        raise NotAnImageError(
            expected="grey, RGB, CMYK or palette colours",
            got=f"colours of the kind {rgb.mode!r}",
            remedy="Save the image as RGB",
        ) from error
    if rgb is image:
        rgb = image.copy()
    rgb.info = {}
    return rgb


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of more than 8 bits to 0..255; other images are returned as they are.

    16 bits have a fixed scale, so that all images of a camera keep their relative brightness. Wider
    integers and floats have no agreed white: beyond the usual ranges the image's own extremes serve.
    """
    if image.mode.startswith("I;16"):
        return _stretch(image, 0, 65535)
    if image.mode not in ("I", "F"):
        return image
    low, high = cast(tuple[float, float], image.getextrema())
    usual_white = (65535,) if image.mode == "I" else (1, 255, 65535)
    white = next((white for white in usual_white if low >= 0 and high <= white), None)
    return _stretch(image, 0, white) if white is not None else _stretch(image, low, high)


def _stretch(image: Image.Image, black: float, white: float) -> Image.Image:
    scale = 255 / (white - black) if white > black else 1.0
    if not 0 < scale < float("inf"):
        raise ValueError(f"brightness between {black} and {white} cannot be scaled")
    stretched = Image.new("L", image.size)
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):  # in bands, since every step takes four bytes a pixel
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        wide = band.convert("I").convert("F") if band.mode.startswith("I;16") else band.convert("F")
        stretched.paste(wide.point(lambda value: value * scale + (0.5 - black * scale)).convert("L"), (0, top))
    return stretched


_quiet_lock = threading.Lock()
_num_quiet = 0
_QUIET_MODULES = r"PIL\."


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Hide Pillow's warnings while any thread decodes; they speak of the sender's metadata, not of our code.

    `warnings.catch_warnings` would swap the whole list of filters, and threads that leave in another
    order than they came would leave a wrong one behind. This takes back only what it added.
    """
    global _num_quiet
    with _quiet_lock:
        if _num_quiet == 0:
            warnings.filterwarnings("ignore", module=_QUIET_MODULES)
        _num_quiet += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _num_quiet -= 1
            if _num_quiet == 0:
                _remove_quiet_filter()


def _remove_quiet_filter() -> None:
    filters = cast(list[tuple[Any, ...]], warnings.filters)
    for entry in list(filters):
        if entry[0] == "ignore" and getattr(entry[3], "pattern", None) == _QUIET_MODULES:
            filters.remove(entry)
