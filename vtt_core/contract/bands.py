"""Which three bands of a many-band image are shown, and what is black and white in each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from vtt_core.contract.errors import AdapterFormatError, shown

MAX_BANDS = 64
"""Bands that an image may have."""
Triple = tuple[float, float, float]


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
