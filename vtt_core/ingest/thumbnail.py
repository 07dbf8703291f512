"""Make a small picture of an image from a stranger, for pages that show many of them."""

from __future__ import annotations

import io

from PIL import Image

from vtt_core.contract.bands import BandWish
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.ingest.band_images import own_bands
from vtt_core.ingest.decode import decode_image

MEDIA_TYPE = "image/webp"
_QUALITY = 80


def make_thumbnail(encoded: bytes, side: int, limits: Limits = DEFAULT_LIMITS, wish: BandWish | None = None) -> bytes:
    """Return the image as WebP, upright, in sRGB and without metadata.

    Args:
        encoded: the image in any format that `decode_image` reads.
        side: longest side of the result in pixels. A smaller image keeps its size.
        limits: bounds on bytes, pixels and ratio.
        wish: bands of a TIFF of many; None for ordinary images. Black and white are those of this image alone, so that a
            thumbnail never changes.

    Raises:
        ImageError: see decode_image.
    """
    image = decode_image(encoded, limits, None if wish is None else own_bands(encoded, wish, limits))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
