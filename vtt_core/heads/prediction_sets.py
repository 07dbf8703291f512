"""Answer with all classes that an image may well be of, with a promise how often the true one is among them.

Shapes: N held-out images, C classes.
Source: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World"; Vovk 2015, cross-conformal prediction; Sadinle
    et al. 2019, the score 1 - p(true class). The promise is for images like the support images, on average over the classes.
Differs: scores of images held out by folds stand for a calibration set. Each comes from a classifier with fewer images than the
    published one, so sets are rather too large than too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def nonconformity(probabilities_NC: Tensor, labels_N: Tensor) -> list[float]:
    """Return how badly each held-out image fits its class, 1 minus the probability of that class, the smallest first."""
    scores_N = 1 - probabilities_NC.gather(1, labels_N[:, None])[:, 0]
    return sorted(scores_N.tolist())


def largest_coverage(num_scores: int) -> float:
    """Return the largest coverage below 1 that so many held-out images can promise; 0 without any."""
    return num_scores / (num_scores + 1)


def threshold_for(scores: Sequence[float], coverage: float) -> float | None:
    """Return the largest nonconformity of a class in a prediction set; None where there are too few scores for the promise.

    Args:
        scores: of `nonconformity`.
        coverage: share of images whose true class is in the set, between 0 and 1.
    """
    rank = math.ceil(
        (len(scores) + 1) * coverage - 1e-9
    )  # less rounding, so that the largest coverage is one that can be promised
    return scores[rank - 1] if 1 <= rank <= len(scores) else None


def prediction_set(probabilities: Sequence[float], threshold: float) -> list[int]:
    """Return the classes whose nonconformity is at most the threshold, the likeliest first; never none at all."""
    ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
    return [index for place, index in enumerate(ranked) if place == 0 or 1 - probabilities[index] <= threshold]
