"""Read a HEIC photo with pillow-heif, whose libheif and libde265 decode it.

libheif turns the photo upright by the boxes of the file; an orientation in its EXIF does not count (ISO/IEC 23008-12).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from vtt_core.contract.errors import AnimatedImageError
from vtt_core.ingest.avif import is_avif
from vtt_core.ingest.coded_colours import CodedColours, profile_of
from vtt_core.ingest.optional_formats import package_for

if TYPE_CHECKING:
    from pillow_heif import HeifFile

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(encoded: bytes) -> bool:
    """Return whether the bytes start like a HEIC photo."""
    return encoded[4:8] == b"ftyp" and encoded[8:12] in _BRANDS and not is_avif(encoded)


def open_heic(encoded: bytes) -> HeifFile:
    """Read the header of a HEIC photo. No pixel is decoded yet.

    Raises:
        AnimatedImageError: it holds several photos.
        FormatPackageMissingError: pillow-heif is not installed.
        ValueError: it is damaged.
    """
    pillow_heif = package_for("a HEIC photo", "pillow_heif", "heic")
    photos: HeifFile = pillow_heif.open_heif(io.BytesIO(encoded), convert_hdr_to_8bit=True)
    if len(photos) != 1:
        raise AnimatedImageError(
            expected="one still picture",
            got=f"a HEIC file of {len(photos)} photos",
            remedy="Send one photo as an image of its own",
        )
    return photos


def read_heic(photo: HeifFile) -> Image.Image:
    """Decode a photo that was opened and checked. Its `info` has the ICC profile if the colours need converting.

    Raises:
        UnsupportedKindError: its colours have a high dynamic range, or are of an unknown space.
    """
    profile = photo.info.get("icc_profile")
    coded = photo.info.get("nclx_profile")
    if not profile and coded:
        profile = profile_of(CodedColours(int(coded["color_primaries"]), int(coded["transfer_characteristics"])))
    image = photo.to_pillow()
    image.info = {"icc_profile": profile} if profile else {}
    return image
