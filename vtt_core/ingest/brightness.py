"""Choose the values that become black and white in an image of more than 8 bits.

docs/images.md explains the rules to users.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use inside wider samples."""
SENTINELS = (-9999.0, -32767.0, -32768.0, -99999.0)
"""Values that programs write for missing pixels."""
HUGE = 1e37
"""Larger floats count as missing: programs write the largest float (3.4e38) for missing pixels."""
_OVERSHOOT = 0.05
"""Tolerance beyond black and white: resampling a float image overshoots a little."""
_DARKEST = 16
"""A float image whose brightest value is below this is not read as a range of 0..255."""


class Numbers(Enum):
    """The number type of an image's samples."""

    UNSIGNED = "unsigned integers"
    SIGNED = "signed integers"
    FLOAT = "floats"


@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest value of an image, missing pixels aside."""

    low: float
    high: float


def choose_range(numbers: Numbers, bits: int, extremes: Extremes) -> tuple[float, float]:
    """Return the values that become black and white.

    Args:
        numbers: type of the samples.
        bits: width of one sample.
        extremes: over all colour bands.
    """
    if numbers is Numbers.FLOAT:
        return _range_of_floats(extremes)
    if numbers is Numbers.UNSIGNED:
        return _range_from_zero(bits, extremes, 2**bits - 1)
    least, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if bits <= 8 or extremes.low < least / 2 or (extremes.low < 0 and extremes.high > largest / 2):
        return least, largest
    return _range_from_zero(bits, extremes, largest) if extremes.low >= 0 else (extremes.low, extremes.high)


def white_of_depth(high: float) -> int:
    """Return the white of the smallest usual depth that can hold `high`, at most that of 16 bits."""
    return next(((1 << depth) - 1 for depth in DEPTHS if high < 1 << depth), 0xFFFF)


def missing_sentinels(present: Iterable[float], rest: Extremes) -> set[float]:
    """Return the sentinels that stand for missing pixels.

    A sentinel close to the other values is an ordinary brightness. It means a missing pixel if its distance below them is
    larger than their own range.

    Args:
        present: sentinels found in the image.
        rest: the extremes of all other values.
    """
    return {value for value in present if rest.low - value > rest.high - rest.low}


def _range_from_zero(bits: int, extremes: Extremes, largest: int) -> tuple[float, float]:
    if bits <= 8:
        return 0, largest
    if extremes.high < 2**16:
        return 0, min(white_of_depth(extremes.high), largest)
    return (0, largest) if extremes.high > largest / 2 else (extremes.low, extremes.high)


def _range_of_floats(extremes: Extremes) -> tuple[float, float]:
    low, high = extremes.low, extremes.high
    whites = (1.0, *(float(2**depth - 1) for depth in DEPTHS))
    white = next((white for white in whites if high <= white * (1 + _OVERSHOOT)), None)
    if white is None or low < -white * _OVERSHOOT or (white > 1 and high < _DARKEST):
        return low, high
    return 0.0, white
