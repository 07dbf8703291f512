"""Refuse images whose bytes would make a decoder work or allocate far more than their pixels need.

Pillow bounds the pixels, and the sizes of texts and tags; what its C libraries allocate for one tile, and how
often they pass over the same picture, it does not look at.
"""

from __future__ import annotations

import re
from typing import Any

from PIL import Image, TiffImagePlugin

from vtt_core.contract.errors import ImageTooComplexError

MAX_SCANS = 100
"""Scans of a JPEG. Progressive ones have about 10. Each scan passes over all coefficients, however few bytes it has:
5,000 of them in 300 kB took 11 s."""
MAX_SEGMENTS = 20_000
"""Segments between the scans of a JPEG; 20 MB hold that many of 1 kB."""
MIN_TILE_PIXELS = 2**20
"""A tile may have that many pixels, or twice those of its picture. libtiff allocates a whole tile: one of
32,752 x 32,752 pixels in a file of 160 bytes took 1 GB."""
MAX_AVIF_ALPHA_PIXELS = 25_000_000
"""Pixels of an AVIF with alpha. In 4:4:4 each takes 22 bytes of memory, and 30 where it has 12 bits a sample."""

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_NEXT_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def check_cost(image: Image.Image, encoded: bytes) -> None:
    """Look at the structure of an opened image, before its pixels are decoded.

    Args:
        image: opened, not loaded.
        encoded: its bytes.

    Raises:
        ImageTooComplexError: decoding it would take too long or too much memory.
    """
    if image.format in ("JPEG", "MPO"):
        _check_scans(encoded)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiles(image)
    elif image.format == "AVIF" and image.mode == "RGBA":
        _check_avif_alpha(image)


def _check_scans(encoded: bytes) -> None:
    """Walk from marker to marker as libjpeg does; what lies in segments and behind the end counts for nothing."""
    num_scans = num_segments = 0
    position = 2
    while (found := _NEXT_MARKER.search(encoded, position)) is not None:
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return
        if marker == 0x01:  # it has no length
            continue
        num_segments += 1
        num_scans += marker == _START_OF_SCAN
        if num_scans > MAX_SCANS or num_segments > MAX_SEGMENTS:
            raise ImageTooComplexError(
                expected=f"a JPEG of at most {MAX_SCANS} scans and {MAX_SEGMENTS} segments",
                got="more",
                remedy="Save it anew from an image program",
            )
        position += int.from_bytes(encoded[position : position + 2], "big")


def _check_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    tags: Any = image.tag_v2
    tile_pixels = _first(tags.get(_TILE_WIDTH, 0)) * _first(tags.get(_TILE_LENGTH, 0))
    if tile_pixels > max(MIN_TILE_PIXELS, 2 * image.width * image.height):
        raise ImageTooComplexError(
            expected=f"a TIFF with tiles of at most {MIN_TILE_PIXELS} pixels or its own size",
            got=f"tiles of {tile_pixels} pixels",
            remedy="Save it anew from an image program",
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
