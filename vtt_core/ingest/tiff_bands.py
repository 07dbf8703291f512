"""Read three chosen bands of a TIFF, as colours or as the values that black and white are measured on.

Our own reader does it, and not GDAL: files of strangers come here, and it has been tried on hostile ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtt_core.contract.bands import BandChoice
from vtt_core.ingest.band_values import are_numbers, colours_of
from vtt_core.ingest.samples import Array
from vtt_core.ingest.tiff_directory import Directory
from vtt_core.ingest.tiff_layout import Layout, check_bands
from vtt_core.ingest.tiff_samples import band_blocks, no_data_value

MAX_MEASURED = 20_000
"""About as many pixels of an image are looked at to measure black and white."""


def shown_bands(page: Directory, layout: Layout, choice: BandChoice) -> Image.Image:
    """Return the bands as an RGB image; missing pixels are black.

    Raises:
        UnsupportedKindError: the file has no such bands.
        ImageTooComplexError: unpacking them would take too much memory.
        ValueError: the file is damaged.
    """
    check_bands(layout, choice.bands)
    image, missing = Image.new("RGB", (layout.width, layout.height)), no_data_value(page)
    for top, values in band_blocks(page, layout, choice.bands):
        image.paste(Image.fromarray(colours_of(values, choice, _is_there(values, missing))), (0, top))
    return image


def some_values(page: Directory, layout: Layout, bands: tuple[int, int, int]) -> Array:
    """Return values of the bands from all over the image, [pixels, 3], without missing ones; errors as `shown_bands`."""
    check_bands(layout, bands)
    step, missing = max(1, layout.width * layout.height // MAX_MEASURED), no_data_value(page)
    found = []
    for _, values in band_blocks(page, layout, bands):
        there = values[_is_there(values, missing) & are_numbers(values)]
        found.append(there[::step])
    return np.concatenate(found)


def _is_there(values: Array, missing: float | None) -> NDArray[np.bool_]:
    """Return which pixels have the value for missing ones in none of the bands."""
    if missing is None or not np.isfinite(missing):
        return np.ones(values.shape[:-1], dtype=bool)
    return np.asarray((values != values.dtype.type(missing) if values.dtype.kind == "f" else values != missing).all(axis=-1))
