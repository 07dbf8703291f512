"""Convert samples of other than 8 bits into an 8-bit image, in blocks of rows.

This file imports numpy, which takes 0.1 s and 15 MB, so it is imported only when an image needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.brightness import HUGE, SENTINELS, Extremes, Numbers, choose_range, missing_sentinels

Array = NDArray[Any]
Range = tuple[float, float]
Transform = Callable[[Image.Image], Image.Image]
BLOCK_PIXELS = 2**19
"""Pixels converted at a time. A pixel takes about 40 bytes per band."""
_COLOURS = {1: "L", 3: "RGB", 4: "CMYK"}


@dataclass(frozen=True)
class Samples:
    """An image whose samples are not 8-bit."""

    width: int
    height: int
    numbers: Numbers
    bits: int
    """Of one sample."""
    num_colours: int
    """1 is grey, 3 is RGB, 4 is CMYK. They are the first bands of each pixel."""
    blocks: Callable[[], Iterator[tuple[int, Array]]]
    """Yields the top row and the samples [rows, width, bands] of each block. It can be called again."""
    alpha_bits: int = 0
    """0 without alpha. Otherwise alpha is the band after the colours, with a white of its own."""
    is_premultiplied: bool = False
    """The colours are already multiplied with alpha."""
    is_white_zero: bool = False
    missing: float | None = None
    """The value of missing pixels."""
    declared: tuple[float, float] | None = None
    """Black and white, if the file gives them."""
    key: tuple[int, ...] | None = None
    """The one colour that is transparent."""


@dataclass
class _Seen:
    """Range found in a pass over an image."""

    low: float = math.inf
    high: float = -math.inf
    sentinels: set[float] | None = None

    def add(self, values: Array) -> None:
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


@np.errstate(all="ignore")  # overflow is clipped, and NaN means missing
def eight_bits(samples: Samples, to_srgb: Transform | None = None) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours as L, RGB or CMYK, and the alpha as L or None.

    Missing pixels become black.

    Args:
        samples: the image.
        to_srgb: converts an 8-bit image of these colours to sRGB. It is applied to the next lower and the next higher 8-bit
            value, and the results are interpolated.

    Raises:
        UnsupportedKindError: every pixel is missing.
    """
    missing, (black, white), alpha_range = _survey(samples)
    mode = "RGB" if to_srgb is not None else _COLOURS[samples.num_colours]
    colours = Image.new(mode, (samples.width, samples.height))
    has_alpha = samples.alpha_bits > 0 or samples.key is not None
    alpha = Image.new("L", colours.size) if has_alpha else None
    for top, block in samples.blocks():
        bands, valid = _colours_of(block, samples, missing)
        levels = _levels(bands, black, white)
        opacity = _opacity(block, samples, alpha_range)
        if opacity is not None and samples.is_premultiplied:
            levels = np.minimum(levels * (255 / np.maximum(opacity, 1)), 255)
        rounded = _rounded(levels, to_srgb)
        if valid is not None:
            rounded[~valid] = [0, 0, 0, 255] if mode == "CMYK" else 0
        colours.paste(_picture(rounded), (0, top))
        if alpha is not None and opacity is not None:
            alpha.paste(_picture((opacity + 0.5).astype(np.uint8)), (0, top))
    return colours, alpha


def blocks_of(image: Image.Image) -> Iterator[tuple[int, Array]]:
    """Yield the samples of a 16-bit grey image, like `Samples.blocks`."""
    rows = max(1, BLOCK_PIXELS // image.width)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.asarray(part).astype(np.uint16)[..., np.newaxis]


def _survey(samples: Samples) -> tuple[set[float], Range, Range]:
    """Return the missing values, black and white, and the alpha values of transparent and opaque."""
    is_value = samples.missing is not None and abs(samples.missing) < HUGE  # larger ones and NaN are missing anyway
    missing = {float(samples.missing)} if is_value and samples.missing is not None else set()
    rest, alpha = _Seen(), _Seen()
    present: set[float] = set()
    candidates = () if samples.numbers is Numbers.UNSIGNED or samples.bits <= 8 else SENTINELS
    for _, block in samples.blocks():
        bands, valid = _colours_of(block, samples, missing)
        values = bands if valid is None else bands[valid]
        is_candidate = np.isin(values, np.array(candidates, dtype=np.float64)) if candidates else None
        if is_candidate is not None and is_candidate.any():
            present |= {float(value) for value in np.unique(values[is_candidate])}
            values = values[~is_candidate]
        rest.add(values)
        if samples.alpha_bits:
            alpha.add(_finite(block[..., samples.num_colours]))
    absent = missing_sentinels(present, Extremes(rest.low, rest.high)) if rest.high >= rest.low else set()
    for value in present - absent:
        rest.add(np.array([value]))
    if rest.high < rest.low:
        raise UnsupportedKindError(
            expected="an image with pixels",
            got="an image whose every pixel is missing (NaN, infinite or no-data)",
            remedy="Leave it out",
        )
    seen = Extremes(rest.low, rest.high)
    black, white = samples.declared or choose_range(samples.numbers, samples.bits, seen)
    if samples.is_white_zero:
        black, white = white, black
    alpha_range = choose_range(samples.numbers, samples.bits, Extremes(min(alpha.low, 0.0), max(alpha.high, 0.0)))
    return missing | absent, (black, white), alpha_range


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _colours_of(block: Array, samples: Samples, missing: set[float]) -> tuple[Array, NDArray[np.bool_] | None]:
    """Return the colour bands and which pixels are valid; None if all are."""
    bands = block[..., : samples.num_colours]
    valid: NDArray[np.bool_] | None = None
    if bands.dtype.kind == "f":
        valid = np.asarray((np.abs(bands) < HUGE).all(axis=-1))  # false for NaN
    for value in missing:
        same = bands.dtype.type(value) if bands.dtype.kind == "f" else value
        is_there = np.asarray(np.not_equal(bands, same).any(axis=-1))
        valid = is_there if valid is None else np.logical_and(valid, is_there)
    return bands, valid


def _levels(bands: Array, black: float, white: float) -> NDArray[np.float64]:
    """Return brightness from 0 to 255, not rounded."""
    scale = 255 / (white - black) if white != black else math.inf
    if not math.isfinite(scale):
        return np.zeros(bands.shape)
    levels: NDArray[np.float64] = np.where(np.isfinite(bands), bands, 0).astype(np.float64)
    levels -= black
    levels *= scale
    return np.clip(levels, 0, 255, out=levels)


def _opacity(block: Array, samples: Samples, alpha_range: Range) -> NDArray[np.float64] | None:
    """Return alpha from 0 to 255 as floats [rows, width, 1]."""
    if samples.alpha_bits:
        return _levels(block[..., samples.num_colours : samples.num_colours + 1], *alpha_range)
    if samples.key is not None:
        is_key = (block[..., : samples.num_colours] == np.array(samples.key)).all(axis=-1, keepdims=True)
        return np.where(is_key, 0.0, 255.0)
    return None


def _rounded(levels: Array, to_srgb: Transform | None) -> NDArray[np.uint8]:
    if to_srgb is None:
        return (levels + 0.5).astype(np.uint8)
    lower = np.floor(levels)
    share = levels - lower
    below = np.asarray(to_srgb(_picture(lower.astype(np.uint8))), dtype=np.float32)
    above = np.asarray(to_srgb(_picture(np.ceil(levels).astype(np.uint8))), dtype=np.float32)
    if share.shape[-1] == 4:  # four inks do not map to three colours one to one
        share = share.mean(axis=-1, keepdims=True)
    mixed: NDArray[np.uint8] = (below + (above - below) * share + 0.5).astype(np.uint8)
    return mixed


def _picture(values: NDArray[np.uint8]) -> Image.Image:
    height, width, num_bands = values.shape
    return Image.frombuffer(_COLOURS[num_bands], (width, height), np.ascontiguousarray(values).tobytes(), "raw")
