"""Decode one image from untrusted bytes.

File names and declared types are ignored. Everything in the header (format, width, height, number of frames) is
checked before any pixel is decoded. The result is RGB, upright and without metadata.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, ImageFile, UnidentifiedImageError

from vtt_core.contract.bands import BandChoice
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
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.ingest import jpeg2000, tiff_directory
from vtt_core.ingest.avif import is_avif
from vtt_core.ingest.colour import flat_srgb
from vtt_core.ingest.decode_cost import check_cost
from vtt_core.ingest.dicom_file import is_dicom, read_dicom_fields
from vtt_core.ingest.heic import is_heic, open_heic, read_heic
from vtt_core.ingest.jpeg_kind import unread_jpeg_kind
from vtt_core.ingest.orientation import turn_upright
from vtt_core.ingest.pixels import PROFILE, from_samples, read_band_tiff, read_pixels, read_wide_tiff, without_unnamed_alpha
from vtt_core.ingest.tiff_directory import picture_directory, with_first_page
from vtt_core.ingest.tiff_layout import is_read_by_pillow, layout_of
from vtt_core.ingest.unread_formats import unread_format

if TYPE_CHECKING:
    from vtt_core.ingest.samples import Array

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
"""Every format that Pillow reads here. It has many more decoders, some of them hardly tested."""

CONVERTED_FORMATS = ("DICOM", "HEIC")
"""Formats that other packages read. They are stored as PNG."""

_SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"BM", b"GIF8"),
    *tiff_directory.SIGNATURES,
    *jpeg2000.SIGNATURES,
)
"""First bytes of these formats: a file that starts like this but cannot be opened is damaged."""


@dataclass(frozen=True)
class ImageFacts:
    """Size and format of an image that decodes."""

    width: int
    """In pixels, upright."""
    height: int
    """In pixels, upright."""
    image_format: str
    """One of FORMATS or CONVERTED_FORMATS."""


def decode_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS, bands: BandChoice | None = None) -> Image.Image:
    """Return the image as 8-bit sRGB, with its EXIF orientation applied and its metadata dropped.

    Colours are converted by their ICC profile, transparent pixels are laid on white, and samples of more than 8 bits
    are scaled. docs/images.md says how each kind is read. An ordinary 8-bit image is exactly as Pillow decodes it.

    Args:
        encoded: the file as it was sent.
        limits: bounds on bytes, pixels and ratio.
        bands: which bands of a TIFF are shown, and how; None reads it like any image. Other formats are not concerned.

    Raises:
        EmptyFileError: there are no bytes.
        ImageTooManyBytesError: there are more bytes than allowed.
        NotAnImageError: they are not in a supported format.
        UnsupportedKindError: the format is supported, but not this kind of pixels.
        ImageDimensionsError: the header states a size or ratio outside the limits.
        AnimatedImageError: there is more than one frame or page.
        ImageTooComplexError: decoding it would take too long or too much memory.
        TruncatedImageError: the pixels end early or are damaged.
        FormatPackageMissingError: the package that reads this format is not installed.
    """
    return _decode(encoded, limits, bands)[0]


def decode_opened(image: Image.Image, limits: Limits = DEFAULT_LIMITS, bands: BandChoice | None = None) -> Image.Image:
    """Return an image that was opened or made with Pillow as `decode_image` returns its file; the image stays as it is.

    Args:
        image: opened, loaded, or made by a program.
        limits: bounds on bytes, pixels and ratio.
        bands: as in `decode_image`, for a TIFF that is not loaded yet.

    Raises:
        ImageError: see decode_image. Pixels of more than 8 bits are read from their file only: Pillow does not keep what is
            white in them.
    """
    encoded = _unread_file(image)
    if encoded is not None:
        return decode_image(encoded, limits, bands)
    _check_dimensions(image.width, image.height, limits)
    _check_frames(image)
    if image.mode.startswith(_WIDE_MODES):
        raise UnsupportedKindError(
            expected="an image of 8 bits a sample, or a file that nothing was read of",
            got=f"an opened image of the mode {image.mode!r}",
            remedy="Give the path of the file, or its bytes",
        )
    with _quiet_decoders(), _damage_named(b""):
        copied = image.copy()  # loads it
        copied.format = image.format
        return _upright_rgb(copied)


_WIDE_MODES = ("I", "F")
"""Beginnings of Pillow's modes with more than 8 bits a sample."""


def _unread_file(image: Image.Image) -> bytes | None:
    """Return the bytes of an opened file whose pixels are not read yet; None for all other images."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.fp is None:
        return None
    place = image.fp.tell()
    image.fp.seek(0)
    encoded = image.fp.read()
    image.fp.seek(place)
    return bytes(encoded)


def decode_with_format(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Image.Image, str]:
    """Return the image as `decode_image` does, raising the same errors, and its format: of FORMATS or CONVERTED_FORMATS."""
    return _decode(encoded, limits)


def band_values(encoded: bytes, bands: tuple[int, int, int], limits: Limits = DEFAULT_LIMITS) -> Array:
    """Return values of three bands of a TIFF from all over the image, [pixels, 3], without missing pixels.

    Args:
        encoded: the file as it was sent.
        bands: counted from 1.
        limits: bounds on bytes, pixels and ratio.

    Raises:
        NotAnImageError: it is no TIFF.
        ImageError: see decode_image.
    """
    from vtt_core.ingest.tiff_bands import some_values  # noqa: PLC0415  # numpy: see samples.py

    _check_bytes(encoded, limits)
    if not encoded.startswith(tiff_directory.SIGNATURES):
        raise NotAnImageError(
            expected=f"a TIFF with the bands {', '.join(map(str, bands))}",
            got="another format",
            remedy="Send a TIFF, or choose no bands where the images are ordinary ones",
        )
    with _quiet_decoders(), _damage_named(encoded):
        page = picture_directory(encoded)
        layout = layout_of(page)
        _check_dimensions(layout.width, layout.height, limits)
        return some_values(page, layout, bands)


def inspect_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> ImageFacts:
    """Decode the whole image and return its size and format. An image that passes can be trained on.

    Raises:
        ImageError: see decode_image.
    """
    image, image_format = _decode(encoded, limits)
    return ImageFacts(width=image.width, height=image.height, image_format=image_format)


def _check_bytes(encoded: bytes, limits: Limits) -> None:
    if not encoded:
        raise EmptyFileError(expected="an image file", got="an empty file (0 bytes)", remedy="Send the file again")
    if len(encoded) > limits.max_image_bytes:
        raise ImageTooManyBytesError(
            expected=f"at most {limits.max_image_bytes} bytes", got=f"{len(encoded)} bytes", remedy="Scale the image down"
        )


def _decode(encoded: bytes, limits: Limits, bands: BandChoice | None = None) -> tuple[Image.Image, str]:
    _check_bytes(encoded, limits)
    with _quiet_decoders(), _damage_named(encoded):
        if is_dicom(encoded):  # first: the preamble may be the header of a TIFF
            return _decode_dicom(encoded, limits), "DICOM"
        if encoded.startswith(tiff_directory.SIGNATURES):
            return _decode_tiff(encoded, limits, bands), "TIFF"
        if is_heic(encoded):
            return _decode_heic(encoded, limits), "HEIC"
        with _open(encoded, limits) as image:
            _check_dimensions(image.width, image.height, limits)
            _check_frames(image)
            check_cost(image, encoded)
            return _upright_rgb(read_pixels(image, encoded)), "JPEG" if image.format == "MPO" else str(image.format)


def _decode_tiff(encoded: bytes, limits: Limits, bands: BandChoice | None) -> Image.Image:
    page = picture_directory(encoded)
    layout = layout_of(page)
    _check_dimensions(layout.width, layout.height, limits)
    if bands is not None:
        return _upright_rgb(read_band_tiff(page, layout, bands))
    if not is_read_by_pillow(layout):
        return _upright_rgb(read_wide_tiff(page, layout))
    encoded = with_first_page(encoded, page)
    with _open(encoded, limits) as image:
        check_cost(image, encoded)
        return _upright_rgb(without_unnamed_alpha(read_pixels(image, encoded), layout))


def _decode_dicom(encoded: bytes, limits: Limits) -> Image.Image:
    dataset = read_dicom_fields(encoded)
    from vtt_core.ingest.dicom import check_dicom, dicom_samples  # noqa: PLC0415  # numpy: see samples.py

    width, height = check_dicom(dataset)
    _check_dimensions(width, height, limits)
    return _upright_rgb(from_samples(dicom_samples(dataset), dataset.get("ICCProfile")))


def _decode_heic(encoded: bytes, limits: Limits) -> Image.Image:
    photo = open_heic(encoded)
    width, height = photo.size
    _check_dimensions(width, height, limits)
    return _upright_rgb(read_heic(photo))


@contextmanager
def _damage_named(encoded: bytes) -> Iterator[None]:
    """Turn any error of the decoders into one of ours."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        kind = unread_jpeg_kind(encoded) if encoded.startswith(b"\xff\xd8") else None
        if str(error).startswith("Unsupported BMP"):
            kind = "a BMP of an unusual kind"
        if kind is None:
            raise _damaged() from error
        raise UnsupportedKindError(
            expected="a kind of image that this program reads", got=kind, remedy="Convert it to 8-bit RGB as JPEG or PNG"
        ) from error


def _open(encoded: bytes, limits: Limits) -> Image.Image:
    """Read the header with the decoders of FORMATS only."""
    try:
        return Image.open(io.BytesIO(encoded), formats=FORMATS)
    except Image.DecompressionBombError as error:  # Pillow's own limit, by default far above ours
        raise ImageDimensionsError(
            expected=f"at most {limits.max_image_pixels} pixels",
            got=f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} stated in the header",
            remedy="Scale the image down",
        ) from error
    except UnidentifiedImageError as error:
        if encoded.startswith(_SIGNATURES) or is_avif(encoded):
            raise
        raise NotAnImageError(
            expected="an image in one of the formats " + ", ".join((*FORMATS, *CONVERTED_FORMATS)),
            got=unread_format(encoded) or f"{len(encoded)} bytes beginning with {encoded[:12]!r}",
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
            remedy="Crop the image to its subject",
        )


def _check_frames(image: Image.Image) -> None:
    """Refuse several frames. In a camera's MPO file, the second image is only a preview or a stereo view: it is ignored."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return
    raise AnimatedImageError(
        expected="one still picture",
        got=f"a {image.format} file of several frames",
        remedy="Send one frame as an image of its own",
    )


def _damaged() -> TruncatedImageError:
    return TruncatedImageError(
        expected="a complete image file",
        got="data that is damaged or ends early",
        remedy="Send the file again, or save it again from an image program",
    )


def _upright_rgb(image: Image.Image) -> Image.Image:
    turn_upright(image)
    try:
        rgb = flat_srgb(image, image.info.get(PROFILE))
    except ValueError as error:
        raise UnsupportedKindError(
            expected="grey, RGB, CMYK or palette colours",
            got=f"colours of the kind {image.mode!r}",
            remedy="Save the image as RGB",
        ) from error
    plain = rgb._new(rgb.im)  # without what a decoder's image keeps of its file; the pixels are not copied
    plain.info = {}
    return plain


_quiet_lock = threading.Lock()
_num_quiet = 0
_QUIET_MODULES = r"(PIL|pydicom|openjpeg|libjpeg|pillow_heif)\b"


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Hide the decoders' warnings while any thread decodes: they are about the sender's file, not our code.

    `warnings.catch_warnings` restores the whole list of filters, which is wrong if threads leave in another order than they
    entered. This removes only the filter that it added.
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
