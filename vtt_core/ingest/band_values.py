"""Turn values of three bands into colours, and measure what is black and white in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vtt_core.contract.bands import BandChoice, Triple
from vtt_core.ingest.brightness import HUGE
from vtt_core.ingest.samples import Array


def colours_of(values: Array, choice: BandChoice, valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Return [rows, width, 3] of 8 bits; missing pixels are black.

    Args:
        values: of the chosen bands, [rows, width, 3].
        choice: what is black and white.
        valid: which pixels are there; None for all. Values that are no numbers are missing anyway.
    """
    black, white = np.array(choice.black), np.array(choice.white)
    is_there = are_numbers(values) if valid is None else valid & are_numbers(values)
    levels = (np.where(is_there[..., np.newaxis], values, 0).astype(np.float64) - black) * (255 / (white - black))
    colours: NDArray[np.uint8] = (np.clip(levels, 0, 255) + 0.5).astype(np.uint8)
    colours[~is_there] = 0
    return colours


def are_numbers(values: Array) -> NDArray[np.bool_]:
    """Return which pixels have a number in every band; programs write NaN and huge floats for missing ones."""
    if values.dtype.kind != "f":
        return np.ones(values.shape[:-1], dtype=bool)
    return np.asarray((np.abs(values) < HUGE).all(axis=-1))  # false for NaN


def measure_range(pixels: Sequence[Array], low_percentile: float, high_percentile: float) -> tuple[Triple, Triple]:
    """Return black and white of each band.

    Args:
        pixels: of each image, [pixels, 3], without missing ones.
        low_percentile: this share of the pixels is black, in percent.
        high_percentile: of this percentile on, pixels are white.

    Raises:
        ValueError: there are no pixels.
    """
    together = np.concatenate([one.astype(np.float64) for one in pixels])
    if not len(together):
        raise ValueError("no pixels")
    low, high = np.percentile(together, [low_percentile, high_percentile], axis=0)
    high = np.where(high > low, high, low + 1)  # a band of one value
    return (float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))
