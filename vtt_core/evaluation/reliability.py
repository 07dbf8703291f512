"""Compare stated probabilities with how often they are right.

Source: Guo et al. 2017, arXiv:1706.04599, reliability diagram and expected calibration error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NUM_BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose stated probability lies between two bounds."""

    low: float
    high: float
    num_images: int
    stated: float | None
    """Mean probability of the likeliest class; None for an empty bin."""
    accuracy: float | None
    """Share of the images whose likeliest class is right; None for an empty bin."""


def reliability(stated: Sequence[float], is_right: Sequence[bool]) -> tuple[ReliabilityBin, ...]:
    """Return the points of a reliability curve, in bins of equal width.

    Args:
        stated: probability of the likeliest class of each image.
        is_right: whether that class is the true one.
    """
    rows: list[list[tuple[float, bool]]] = [[] for _ in range(NUM_BINS)]
    for probability, right in zip(stated, is_right, strict=True):
        rows[min(int(probability * NUM_BINS), NUM_BINS - 1)].append((probability, right))
    return tuple(
        ReliabilityBin(
            place / NUM_BINS,
            (place + 1) / NUM_BINS,
            len(row),
            sum(probability for probability, _ in row) / len(row) if row else None,
            sum(right for _, right in row) / len(row) if row else None,
        )
        for place, row in enumerate(rows)
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error: the mean gap between stated and real accuracy over all images, at least one."""
    gaps = [
        one.num_images * abs(one.accuracy - one.stated) for one in bins if one.accuracy is not None and one.stated is not None
    ]
    return sum(gaps) / sum(one.num_images for one in bins)
