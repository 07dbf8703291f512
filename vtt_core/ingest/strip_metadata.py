"""Remove everything from an image but its pixels: EXIF, XMP, comments, thumbnails and the rest.

A module for each format parses the file and writes it again with the parts that decoding needs; the coded pixels stay as they
are. The result is decoded, and its pixels are compared with the original's. If the file cannot be parsed, or the pixels
differ, a PNG of the pixels takes its place. DICOM and HEIC always become PNG. So the stored file has no metadata, and always
decodes to the same image.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageChops

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import ImageError, MetadataNotRemovableError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.ingest.decode import ImageFacts, decode_image
from vtt_core.ingest.dicom_file import is_dicom
from vtt_core.ingest.heic import is_heic
from vtt_core.ingest.jpeg2000 import SIGNATURES as JPEG2000_SIGNATURES
from vtt_core.ingest.png_header import SIGNATURE as PNG_SIGNATURE
from vtt_core.ingest.strip_avif import strip_avif
from vtt_core.ingest.strip_bmp import strip_bmp
from vtt_core.ingest.strip_gif import strip_gif
from vtt_core.ingest.strip_jpeg import strip_jpeg
from vtt_core.ingest.strip_jpeg2000 import strip_jpeg2000
from vtt_core.ingest.strip_png import strip_png
from vtt_core.ingest.strip_tiff import strip_tiff
from vtt_core.ingest.strip_webp import strip_webp
from vtt_core.ingest.structure import UnknownStructureError

Strip = Callable[[bytes], bytes]

_BEGINNINGS: tuple[tuple[bytes, str, Strip], ...] = (
    (b"\xff\xd8\xff", "JPEG", strip_jpeg),
    (PNG_SIGNATURE, "PNG", strip_png),
    (b"GIF8", "GIF", strip_gif),
    (b"BM", "BMP", strip_bmp),
    (b"II", "TIFF", strip_tiff),
    (b"MM", "TIFF", strip_tiff),
    (b"RIFF", "WEBP", strip_webp),
    *((signature, "JPEG2000", strip_jpeg2000) for signature in JPEG2000_SIGNATURES),
)
_BAND_PIXELS = 2**20
_PNG_LEVEL = 3
"""Level 6 takes three times as long and saves a tenth of the bytes."""


@dataclass(frozen=True)
class CleanImage:
    """An image without metadata."""

    content: bytes
    """Encoded, without metadata."""
    facts: ImageFacts
    """Of the content. Its format is PNG if a PNG had to take the original's place."""


class _TooManyBytesError(Exception):
    """A PNG is larger than allowed."""


class _BoundedFile(io.BytesIO):
    """Raises an error when it grows past its limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(content) > self._max_bytes:
            raise _TooManyBytesError
        return super().write(content)


def clean_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS, bands: BandChoice | None = None) -> CleanImage:
    """Check an image like `decode_image`, and return it without metadata.

    Args:
        encoded: the file as it was sent.
        limits: bounds on bytes, pixels and ratio.
        bands: which bands of a TIFF are looked at, and how; what is returned has all its bands. None for ordinary images.

    Raises:
        ImageError: see decode_image. An image that passes can be trained on.
        MetadataNotRemovableError: it cannot be parsed, and a PNG of it would be too large, or lack bands.
    """
    image = decode_image(encoded, limits, bands)
    (width, height), digest = image.size, _pixel_digest(image)
    del image  # or memory would hold two images below
    if is_dicom(encoded) or is_heic(encoded):
        return CleanImage(_as_png(encoded, limits), ImageFacts(width=width, height=height, image_format="PNG"))
    image_format, strip = _container(encoded)
    content = _stripped(encoded, strip, digest, limits, bands)
    if content is None and bands is not None and image_format == "TIFF":
        raise MetadataNotRemovableError(
            expected="a TIFF whose metadata can be removed without loss",
            got="one of an unusual structure; a PNG would lack its bands",
            remedy="Write it again, for example with gdal_translate",
        )
    if content is None:
        image_format, content = "PNG", _as_png(encoded, limits)
    return CleanImage(content, ImageFacts(width=width, height=height, image_format=image_format))


def _container(encoded: bytes) -> tuple[str, Strip]:
    for beginning, image_format, strip in _BEGINNINGS:
        if encoded.startswith(beginning):
            return image_format, strip
    return "AVIF", strip_avif  # starts with a box of any length; `strip_avif` refuses other formats


def _stripped(encoded: bytes, strip: Strip, digest: bytes, limits: Limits, bands: BandChoice | None) -> bytes | None:
    """Return the stripped file, or None if that is not the same image."""
    try:
        content = strip(encoded)
        is_same = content == encoded or _pixel_digest(decode_image(content, limits, bands)) == digest
    except (UnknownStructureError, struct.error, IndexError, ImageError):
        return None
    return content if is_same else None


def _as_png(encoded: bytes, limits: Limits) -> bytes:
    file = _BoundedFile(limits.max_image_bytes)
    try:
        _smallest(decode_image(encoded, limits)).save(file, "PNG", compress_level=_PNG_LEVEL)
    except _TooManyBytesError as error:
        raise MetadataNotRemovableError(
            expected="an image whose metadata can be removed without loss",
            got=f"an unusual structure; as PNG it takes more than {limits.max_image_bytes} bytes",
            remedy="Save it again from an image program, as JPEG or PNG",
        ) from error
    return file.getvalue()


def _smallest(image: Image.Image) -> Image.Image:
    """Return an image without colours as grey: it decodes to the same pixels."""
    red, green, blue = image.split()
    is_grey = ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(red, blue).getbbox() is None
    return red if is_grey else image


def _pixel_digest(image: Image.Image) -> bytes:
    digest = hashlib.sha256(repr((image.mode, image.size)).encode())
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):  # in bands: the bytes of the whole image would be another copy of it
        digest.update(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes())
    return digest.digest()
