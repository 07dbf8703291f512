"""Read plain facts about an image: what is true of the file, whatever it shows.

Shapes: H, W sides in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtt_core.heads.brightness_parts import brightness_parts

_LARGEST_SIDE = 256
"""Borders are looked for in an image of at most this size."""
_COLOUR_SIDE = 32
"""Colours are averaged over so many parts of a side."""
_EVEN = 10
"""Largest difference of a channel within a border, out of 255: JPEG leaves some."""
_STANDS_OUT = 20
"""Least mean difference between a border and what it surrounds: the edge of an even picture is no border."""
_GREY = 3.0
"""Largest mean difference between the channels of a grey-scale image."""


@dataclass(frozen=True)
class PlainFacts:
    """Of one image, upright and in RGB."""

    width: int
    height: int
    image_format: str
    mean_colour: tuple[float, float, float]
    """Of red, green and blue, from 0 to 1."""
    border: tuple[float, float, float, float]
    """Share of the height that is one colour at the top and at the bottom, and of the width at the left and at the right."""
    border_brightness: float
    """From 0 to 1; 0 without a border."""
    is_grey: bool
    thumbnail: NDArray[np.float64]
    """Brightness of 16 x 16 parts, with mean 0 and length 1; all 0 for an even image."""


def facts_of(image: Image.Image, image_format: str) -> PlainFacts:
    """Return the facts of an image.

    Args:
        image: in RGB, upright.
        image_format: of the file.
    """
    small = image.copy()
    small.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.BOX)
    pixels_HW3 = np.asarray(small, dtype=np.int16)
    border = _border(pixels_HW3)
    parts_HW3 = np.asarray(image.resize((_COLOUR_SIDE, _COLOUR_SIDE), Image.Resampling.BOX), dtype=np.float64)
    corner = pixels_HW3[0, 0] if max(border[0], border[2]) > 0 else pixels_HW3[-1, -1]
    red, green, blue = (float(value) for value in parts_HW3.mean(axis=(0, 1)) / 255)
    return PlainFacts(
        width=image.width,
        height=image.height,
        image_format=image_format,
        mean_colour=(red, green, blue),
        border=border,
        border_brightness=float(corner.mean()) / 255 if max(border) > 0 else 0.0,
        is_grey=float((parts_HW3.max(axis=2) - parts_HW3.min(axis=2)).mean()) <= _GREY,
        thumbnail=brightness_parts(image),
    )


def _border(pixels_HW3: NDArray[np.int16]) -> tuple[float, float, float, float]:
    across_WH3 = pixels_HW3.transpose(1, 0, 2)
    top, bottom = _even_lines(pixels_HW3), _even_lines(pixels_HW3[::-1])
    left, right = _even_lines(across_WH3), _even_lines(across_WH3[::-1])
    height, width = pixels_HW3.shape[:2]
    inside_HW3 = pixels_HW3[top : height - bottom, left : width - right]
    colour = pixels_HW3[0, 0] if max(top, left) > 0 else pixels_HW3[-1, -1]
    if inside_HW3.size == 0 or float(np.abs(inside_HW3 - colour).mean()) < _STANDS_OUT:
        return 0.0, 0.0, 0.0, 0.0
    return top / height, bottom / height, left / width, right / width


def _even_lines(lines_HW3: NDArray[np.int16]) -> int:
    """Return the number of first lines that have the colour of the first pixel throughout."""
    for index, line_W3 in enumerate(lines_HW3):
        if int(np.abs(line_W3 - lines_HW3[0, 0]).max()) > _EVEN:
            return index
    return len(lines_HW3)
