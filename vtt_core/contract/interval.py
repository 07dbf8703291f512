"""95 % intervals of accuracies.

Source: Wilson 1927, score interval of a binomial proportion; Student 1908, interval of a mean; Abramowitz & Stegun 1964,
    26.7.3 and 26.7.4, the distribution of Student's t; Bonferroni's correction where the best of several means is picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import cos, pi, sin, sqrt, tan
from statistics import stdev

NORMAL_QUANTILE = 1.959963984540054
"""97.5 % point of the standard normal distribution."""


def wilson_half_width(num_correct: int, num_images: int) -> float:
    """Return half the length of the 95 % Wilson interval, as a fraction.

    The normal approximation would call 15 of 15 certain (width 0); Wilson's interval holds at both ends and for few images.

    Args:
        num_correct: images classified correctly.
        num_images: images classified, at least 1.
    """
    assert num_images > 0
    assert 0 <= num_correct <= num_images
    proportion, square = num_correct / num_images, NORMAL_QUANTILE**2
    spread = sqrt(proportion * (1 - proportion) / num_images + square / (4 * num_images**2))
    return NORMAL_QUANTILE * spread / (1 + square / num_images)


def wilson_interval(num_correct: int, num_images: int, widening: float = 1.0) -> tuple[float, float]:
    """Return the ends of the 95 % Wilson interval of a proportion.

    Args:
        num_correct: images classified correctly.
        num_images: images classified, at least 1.
        widening: factor on the variance, for images that are not independent: as if there were fewer of them by this factor.
    """
    assert 0 <= num_correct <= num_images
    assert num_images > 0
    proportion, effective = num_correct / num_images, num_images / widening
    square = NORMAL_QUANTILE**2 / effective
    middle = (proportion + square / 2) / (1 + square)
    half = sqrt(square * (proportion * (1 - proportion) + square / 4)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_half_width(values: Sequence[float], num_means: int = 1) -> float:
    """Return half the length of the 95 % interval of the mean of independent values, such as an episode's accuracy.

    It is Student's interval: for 7 values a quarter wider than one with a known spread, for 100 values a hundredth wider.

    Args:
        values: at least 2.
        num_means: means that this one was picked from; the intervals then hold for all of them together (Bonferroni).
    """
    return student_quantile(len(values) - 1, 0.025 / num_means) * stdev(values) / sqrt(len(values))


@cache
def student_quantile(degrees: int, tail: float) -> float:
    """Return the value that Student's t exceeds with a small probability.

    Args:
        degrees: of freedom, at least 1.
        tail: the probability, below a half.
    """
    low, high = 0.0, pi / 2
    middle = pi / 4
    while low < middle < high:
        if _within(middle, degrees) < 1 - 2 * tail:
            low = middle
        else:
            high = middle
        middle = (low + high) / 2
    return tan(middle) * sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """Return the probability that t lies within +-sqrt(degrees) tan(angle)."""
    is_odd = degrees % 2
    term, total = (cos(angle), 0.0) if is_odd else (1.0, 0.0)
    for power in range(2 + is_odd, degrees + 1, 2):
        total += term
        term *= cos(angle) ** 2 * (power - 1) / power
    return 2 / pi * (angle + sin(angle) * total) if is_odd else sin(angle) * total
