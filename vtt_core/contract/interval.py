"""Give an accuracy its 95 % interval.

Source: Wilson 1927, score interval of a binomial proportion; the normal interval of a mean for many episodes, and
    Bonferroni's correction where the best of several means is picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, stdev

NORMAL_QUANTILE = 1.959963984540054
"""97.5 % point of the standard normal distribution."""


def wilson_half_width(num_correct: int, num_images: int) -> float:
    """Return half the length of the 95 % Wilson interval, as a fraction.

    The normal approximation would call 15 of 15 certain (width 0); Wilson's stays honest at
    both ends and for few images.

    Args:
        num_correct: images classified rightly.
        num_images: images classified, at least 1.
    """
    assert num_images > 0
    assert 0 <= num_correct <= num_images
    proportion, square = num_correct / num_images, NORMAL_QUANTILE**2
    spread = sqrt(proportion * (1 - proportion) / num_images + square / (4 * num_images**2))
    return NORMAL_QUANTILE * spread / (1 + square / num_images)


def mean_half_width(values: Sequence[float], num_means: int = 1) -> float:
    """Return half the length of the 95 % interval of the mean of independent values, such as an episode's accuracy.

    Args:
        values: at least 2; the normal distribution takes about 30.
        num_means: means that this one was picked from; the intervals of all of them then hold together (Bonferroni).
    """
    quantile = NORMAL_QUANTILE if num_means == 1 else NormalDist().inv_cdf(1 - 0.025 / num_means)
    return quantile * stdev(values) / sqrt(len(values))
