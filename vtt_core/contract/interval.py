"""95 % intervals of accuracies.

Source: Wilson 1927, score interval of a binomial proportion; Student 1908, interval of a mean; Abramowitz & Stegun 1964,
    26.7.3 and 26.7.4, the distribution of Student's t; Bonferroni's correction where the best of several means is picked;
    Bonett & Price 2012, J. Educ. Behav. Stat. 37(4), adjusted interval of a difference of paired proportions; McNemar 1947,
    in its exact form. Fagerland, Lydersen & Laake 2014, Stat. Med. 33(16), recommend that interval for few and many pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import comb, cos, pi, sin, sqrt, tan
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


def paired_interval(num_only_first: int, num_only_second: int, num_pairs: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the difference of two proportions that were counted on the same images.

    One pair of each kind is added. So no number of images gives an interval of width 0, not even one on which both agree.

    Args:
        num_only_first: images that only the first classifies correctly.
        num_only_second: images that only the second classifies correctly.
        num_pairs: all images, at least 1.
    """
    assert num_pairs > 0
    first, second = (num_only_first + 1) / (num_pairs + 2), (num_only_second + 1) / (num_pairs + 2)
    half = NORMAL_QUANTILE * sqrt((first + second - (first - second) ** 2) / (num_pairs + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar_p_value(num_only_first: int, num_only_second: int) -> float:
    """Return how often two of equal accuracy would differ as much or more: the exact, two-sided test.

    Args:
        num_only_first: images that only the first classifies correctly.
        num_only_second: images that only the second classifies correctly.
    """
    number, fewer = num_only_first + num_only_second, min(num_only_first, num_only_second)
    as_unequal: int = 2 * sum(comb(number, place) for place in range(fewer + 1))
    outcomes: int = 1 << number
    return min(1.0, as_unequal / outcomes)


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
