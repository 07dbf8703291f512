"""Refuse images that would cost a decoder far more time or memory than their pixels need.

Pillow limits pixels, texts and tags. It does not limit how much its C libraries allocate for a tile, or how often they
pass over an image.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, TiffImagePlugin

from vtt_core.contract.errors import ImageTooComplexError
from vtt_core.ingest.jpeg_kind import jpeg_segments

MAX_SCANS = 100
"""Most scans of a JPEG; progressive ones have about 10. Each scan passes over all coefficients, however short it is:
5,000 scans in 300 kB took 11 s."""
MAX_SEGMENTS = 20_000
"""Most segments of a JPEG."""
MIN_TILE_PIXELS = 2**20
"""A tile may have this many pixels, or twice those of its image. libtiff allocates a whole tile: one of
32,752 x 32,752 pixels, in a file of 160 bytes, took 1 GB."""
MAX_AVIF_ALPHA_PIXELS = 25_000_000
"""Most pixels of an AVIF with alpha. Each takes 22 bytes of memory in 4:4:4, and 30 with 12 bits a sample."""

_START_OF_SCAN = 0xDA
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def check_cost(image: Image.Image, encoded: bytes) -> None:
    """Check the structure of an opened image before its pixels are decoded.

    Args:
        image: opened, not loaded.
        encoded: its bytes.

    Raises:
        ImageTooComplexError: decoding it would take too long or too much memory.
    """
    if image.format in ("JPEG", "MPO"):
        check_scans(encoded)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiles(image)
    elif image.format == "AVIF" and image.mode == "RGBA":
        _check_avif_alpha(image)


def check_scans(encoded: bytes) -> None:
    """Check the scans of a JPEG.

    Raises:
        ImageTooComplexError: there are far more than a picture needs.
    """
    num_scans = 0
    for num_segments, (marker, _) in enumerate(jpeg_segments(encoded), start=1):
        num_scans += marker == _START_OF_SCAN
        if num_scans > MAX_SCANS or num_segments > MAX_SEGMENTS:
            raise ImageTooComplexError(
                expected=f"a JPEG of at most {MAX_SCANS} scans and {MAX_SEGMENTS} segments",
                got="more",
                remedy="Save it again from an image program",
            )


def _check_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    tags: Any = image.tag_v2
    tile_pixels = _first(tags.get(_TILE_WIDTH, 0)) * _first(tags.get(_TILE_LENGTH, 0))
    if tile_pixels > max(MIN_TILE_PIXELS, 2 * image.width * image.height):
        raise ImageTooComplexError(
            expected=f"a TIFF with tiles of at most {MIN_TILE_PIXELS} pixels or its own size",
            got=f"tiles of {tile_pixels} pixels",
            remedy="Save it again from an image program",
        )


def _check_avif_alpha(image: Image.Image) -> None:
    if image.width * image.height > MAX_AVIF_ALPHA_PIXELS:
        raise ImageTooComplexError(
            expected=f"an AVIF with alpha of at most {MAX_AVIF_ALPHA_PIXELS} pixels",
            got=f"{image.width} x {image.height} pixels",
            remedy="Scale the image down, or save it without alpha",
        )


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
