"""Colours of a map: one for each class, far from those of its neighbours."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NONE_OF_THESE = "none of these"
_GREY = (128, 128, 128, 255)
_GOLDEN = 0.61803398875
"""Steps of this share of the circle never come close to an earlier hue."""
_MIN_SIDE = 800
"""A small map is enlarged to this many pixels on its long side."""
Colour = tuple[int, int, int, int]


def palette_of(num_classes: int) -> dict[int, Colour]:
    """Return index -> colour: no data is transparent, none of these is grey."""
    colours: dict[int, Colour] = {0: (0, 0, 0, 0)}
    for index in range(num_classes):
        red, green, blue = colorsys.hsv_to_rgb((0.58 + index * _GOLDEN) % 1, (0.75, 0.5)[index % 2], (0.85, 0.95)[index % 2])
        colours[index + 1] = (round(255 * red), round(255 * green), round(255 * blue), 255)
    return colours | {num_classes + 1: _GREY}


def draw_map(classes: NDArray[np.uint8], num_classes: int, path: Path) -> None:
    """Write the map as a PNG with transparent cells where there are no data."""
    table = np.zeros((256, 4), np.uint8)
    for index, colour in palette_of(num_classes).items():
        table[index] = colour
    image = Image.fromarray(table[classes])
    factor = max(1, _MIN_SIDE // max(image.size))
    image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(path)
