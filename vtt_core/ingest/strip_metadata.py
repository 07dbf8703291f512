"""Make what is stored of an image: its coded pixels as they came, without EXIF, XMP, comments, thumbnails or anything else.

Each container is taken apart by its own file and put together from what decoding needs. The result is decoded and its pixels
compared with those of what was sent. Where a container cannot be taken apart, or the pixels differ, a PNG of the pixels
takes its place. So what is stored never holds anything else, and always decodes to the same picture.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from vtt_core.contract.errors import ImageError, MetadataNotRemovableError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.ingest.decode import ImageFacts, decode_image
from vtt_core.ingest.strip_avif import strip_avif
from vtt_core.ingest.strip_bmp import strip_bmp
from vtt_core.ingest.strip_gif import strip_gif
from vtt_core.ingest.strip_jpeg import strip_jpeg
from vtt_core.ingest.strip_jpeg2000 import SIGNATURE as JPEG2000_SIGNATURE
from vtt_core.ingest.strip_jpeg2000 import START_OF_CODESTREAM, strip_jpeg2000
from vtt_core.ingest.strip_png import SIGNATURE as PNG_SIGNATURE
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
    (JPEG2000_SIGNATURE, "JPEG2000", strip_jpeg2000),
    (START_OF_CODESTREAM, "JPEG2000", strip_jpeg2000),
)
_BAND_PIXELS = 2**20
_PNG_LEVEL = 3
"""Level 6 takes three times as long for pictures a tenth smaller."""


@dataclass(frozen=True)
class CleanImage:
    """An image as it is stored."""

    content: bytes
    """Encoded, without metadata."""
    facts: ImageFacts
    """Of the content; its format differs from what was sent where a PNG had to take its place."""


class _TooManyBytesError(Exception):
    """A PNG has outgrown its bound."""


class _BoundedFile(io.BytesIO):
    """Holds no more than so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(content) > self._max_bytes:
            raise _TooManyBytesError
        return super().write(content)


def clean_image(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> CleanImage:
    """Check an image as `decode_image` does, and return it without its metadata.

    Args:
        encoded: the file as it was sent.
        limits: bounds on bytes, pixels and ratio.

    Raises:
        ImageError: as decode_image; whatever passes here can be trained on.
        MetadataNotRemovableError: it cannot be taken apart, and a PNG of it would be larger than the limit.
    """
    image = decode_image(encoded, limits)
    (width, height), digest = image.size, _pixel_digest(image)
    del image  # or the second picture below would double what is in memory
    image_format, strip = _container(encoded)
    content = _stripped(encoded, strip, digest, limits)
    if content is None:
        image_format, content = "PNG", _as_png(encoded, limits)
    return CleanImage(content, ImageFacts(width=width, height=height, image_format=image_format))


def _container(encoded: bytes) -> tuple[str, Strip]:
    for beginning, image_format, strip in _BEGINNINGS:
        if encoded.startswith(beginning):
            return image_format, strip
    return "AVIF", strip_avif  # its box `ftyp` has any length; what is no AVIF it refuses


def _stripped(encoded: bytes, strip: Strip, digest: bytes, limits: Limits) -> bytes | None:
    """Return what the stripper makes of it, or None where that is not the same picture."""
    try:
        content = strip(encoded)
        is_same = content == encoded or _pixel_digest(decode_image(content, limits)) == digest
    except (UnknownStructureError, struct.error, IndexError, ImageError):
        return None
    return content if is_same else None


def _as_png(encoded: bytes, limits: Limits) -> bytes:
    file = _BoundedFile(limits.max_image_bytes)
    try:
        decode_image(encoded, limits).save(file, "PNG", compress_level=_PNG_LEVEL)
    except _TooManyBytesError as error:
        raise MetadataNotRemovableError(
            expected="an image whose metadata can be removed without loss",
            got=f"one of an unusual structure, which takes more than {limits.max_image_bytes} bytes as PNG",
            remedy="Save it anew from an image program, as JPEG or PNG",
        ) from error
    return file.getvalue()


def _pixel_digest(image: Image.Image) -> bytes:
    digest = hashlib.sha256(repr((image.mode, image.size)).encode())
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):  # in bands, since bytes of a whole picture are another copy of it
        digest.update(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes())
    return digest.digest()
