"""Which three bands of a many-band image are shown, and what is black and white in each."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from vtt_core.contract.errors import AdapterFormatError, BandsError, shown

MAX_BANDS = 64
"""Bands that an image may have."""
USUAL_STRETCH = (2.0, 98.0)
"""Percentiles that become black and white if nobody says."""
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""Python's own reading takes 1_0 and 1e1 for ten."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class BandWish:
    """Which bands a user wants to see, before anything is measured."""

    bands: tuple[int, int, int]
    """Shown as red, green and blue; counted from 1."""
    low_percentile: float = USUAL_STRETCH[0]
    """Of the support images' values: what becomes black."""
    high_percentile: float = USUAL_STRETCH[1]
    """What becomes white."""

    @property
    def stretch(self) -> tuple[float, float]:
        """Return both percentiles."""
        return self.low_percentile, self.high_percentile


def read_band_wish(bands: str | None, stretch: str | None) -> BandWish | None:
    """Return what a user has written; None without bands.

    Args:
        bands: three numbers such as `4,3,2`, or one, which is shown as grey.
        stretch: two percentiles such as `2,98`; None for the usual ones.

    Raises:
        BandsError: one of them cannot be read, or `stretch` came alone.
    """
    if bands is None:
        if stretch is not None:
            raise BandsError(
                expected="bands beside the stretch", got=f"stretch {shown(stretch)} alone", remedy="Name the bands"
            )
        return None
    numbers = _numbers(bands)
    if len(numbers) not in (1, 3) or not all(number.is_integer() and 1 <= number <= MAX_BANDS for number in numbers):
        raise BandsError(
            expected=f"three bands such as 4,3,2, or one, each from 1 to {MAX_BANDS}",
            got=f"bands {shown(bands)}",
            remedy="Bands are counted from 1: the first is shown as red, then green, then blue",
        )
    low, high = USUAL_STRETCH if stretch is None else _percentiles(stretch)
    red, green, blue = map(int, numbers * (3 // len(numbers)))
    return BandWish((red, green, blue), low, high)


def _percentiles(stretch: str) -> tuple[float, float]:
    numbers = _numbers(stretch)
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= 100:
        raise BandsError(
            expected="two percentiles such as 2,98, between 0 and 100, the lower one first",
            got=f"stretch {shown(stretch)}",
            remedy="Leave it out for 2,98",
        )
    return numbers[0], numbers[1]


def _numbers(text: str) -> list[float]:
    """Return numbers between commas, as people write them; none if one of them is written otherwise."""
    parts = [part.strip() for part in text.split(",")]
    return [float(part) for part in parts] if all(map(_NUMBER.fullmatch, parts)) else []


@dataclass(frozen=True)
class BandChoice:
    """How the values of three bands become red, green and blue.

    Black and white are measured once, on the support images, and not for each image: then the same ground has the same
    colour in training, in prediction and in every tile of a scene.
    """

    bands: tuple[int, int, int]
    """Shown as red, green and blue; counted from 1."""
    black: Triple
    """Value of each band that becomes 0."""
    white: Triple
    """Value of each band that becomes 255."""

    @property
    def sentence(self) -> str:
        """Say how an image is shown, for cards and reports."""
        ranges = ", ".join(f"{black:g} to {white:g}" for black, white in zip(self.black, self.white, strict=True))
        return (
            f"Bands {', '.join(map(str, self.bands))} of each image are shown as red, green and blue, "
            f"with values from black to white of {ranges}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: object) -> BandChoice:
        """Read the choice of a manifest that may have been edited.

        Raises:
            AdapterFormatError: a field is missing, unknown or out of range.
        """
        names = ("bands", "black", "white")
        if not isinstance(values, dict) or set(values) != set(names):
            raise _malformed(values)
        if not all(isinstance(values[name], list) and len(values[name]) == 3 for name in names):
            raise _malformed(values)
        bands, black, white = (values[name] for name in names)
        are_bands = all(type(band) is int and 1 <= band <= MAX_BANDS for band in bands)
        are_numbers = all(type(value) in (int, float) and math.isfinite(value) for value in (*black, *white))
        if not are_bands or not are_numbers or not all(low < high for low, high in zip(black, white, strict=True)):
            raise _malformed(values)
        return cls(bands=tuple(bands), black=_triple(black), white=_triple(white))


def _triple(values: list[float]) -> Triple:
    first, second, third = map(float, values)
    return first, second, third


def _malformed(values: object) -> AdapterFormatError:
    return AdapterFormatError(
        expected="three bands, each with its black below its white",
        got=shown(values),
        remedy="Take the manifest.json that was written with the adapter",
    )
