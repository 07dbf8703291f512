"""Choose which values of a picture are black and white, where its file does not use the usual 8 bits.

docs/images.md explains the rules to users.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners really use in wider samples."""
SENTINELS = (-9999.0, -32767.0, -32768.0, -99999.0)
"""Values that programs write for pixels that were not measured."""
HUGE = 1e37
"""Floats beyond this are no brightness: programs write the largest float (3.4e38) for missing pixels."""
_OVERSHOOT = 0.05
"""Resampling a picture of floats makes values a little beyond black and white."""
_DARKEST = 16
"""A float picture whose brightest value is below this many levels of 255 is not taken as one of 0..255."""


class Numbers(Enum):
    """What the samples of a picture are."""

    UNSIGNED = "unsigned integers"
    SIGNED = "signed integers"
    FLOAT = "floats"


@dataclass(frozen=True)
class Extremes:
    """The least and the largest value of a picture, without its missing pixels."""

    low: float
    high: float


def choose_range(numbers: Numbers, bits: int, extremes: Extremes) -> tuple[float, float]:
    """Return the values that become black and white.

    Args:
        numbers: what the samples are.
        bits: the width of one sample.
        extremes: of all colour bands of the picture together.
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
    """Return the largest value of the smallest usual depth that holds `high`; at most that of 16 bits."""
    return next(((1 << depth) - 1 for depth in DEPTHS if high < 1 << depth), 0xFFFF)


def missing_sentinels(present: Iterable[float], rest: Extremes) -> set[float]:
    """Return those of the present sentinels that stand for missing pixels.

    A sentinel is a brightness like any other where it lies close to the other values. It is missing where it is
    further below them than they are apart.

    Args:
        present: sentinels that the picture holds.
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
