"""Weigh the bases of a head, so that a softmax of their sum gives calibrated probabilities.

The first base is always used. A further base is used only if it explains the images that it has not seen clearly better:
otherwise its noise costs more than it brings. A scale is the inverse of a temperature.

Shapes: N images, C classes, A bases.
Source: Guo et al. 2017, arXiv:1706.04599, temperature scaling on images that were not trained on.
Differs: few images leave a scale open, so each has a log-normal prior around what is usual for its base.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

USUAL_SCALES = {
    "text": 0.3,
    "ridge": 5.0,
    "centroid": 7.0,
    "gda": 0.3,
    "ridge-text": 4.0,
    "text-centroid": 0.1,
    "probe": 4.0,
}
"""Scales where no image can be left out. Source: docs/results.md, "Heads"."""
PRIOR_DEVIATION = 1.0
"""Standard deviation of the logarithm of a scale."""
GATE = 2.0
"""Gain in log-likelihood that a further base must bring. Source: docs/results.md, "Heads"."""
_WIDEST = 6.0
"""Largest logarithm of a scale over the usual one, either way."""
_ROUNDS, _SEARCH_STEPS = 8, 40
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Evidence:
    """Scores of some images by one base that has not seen them."""

    base: str
    scores_NC: Tensor
    labels_N: Tensor


def fit_scales(evidence: Sequence[Evidence]) -> tuple[float, ...]:
    """Return the scale of each base; 0 for one that is not used.

    Args:
        evidence: of each base of the head, all on the same images. The usual scales stand where there are none.
    """
    scales, worth = _fit([*evidence][:1])
    for number in range(1, len(evidence)):
        tried, worth_of_tried = _fit([one for one, scale in zip(evidence, (*scales, 1.0), strict=False) if scale > 0])
        if worth_of_tried > worth + GATE:
            used = iter(tried)
            scales, worth = [next(used) if scale > 0 else 0.0 for scale in (*scales, 1.0)], worth_of_tried
        else:
            scales = [*scales, 0.0]
        assert len(scales) == number + 1
    return tuple(scales)


def uninformed_scales(bases: Sequence[str], text_evidence: Evidence | float) -> tuple[float, ...]:
    """Return the scales where no image could be held out: the usual ones.

    Args:
        bases: of the head.
        text_evidence: of class prompts that have seen none of the images; they join a sum only if they tell these clearly
            better than chance. Where a tower was trained towards them, their scale in that training, which stands.
    """
    if isinstance(text_evidence, float):
        return tuple(text_evidence if base == "text" else USUAL_SCALES[base] for base in bases)
    [scale], worth = _fit([text_evidence])
    of_chance = log_likelihood(torch.zeros_like(text_evidence.scores_NC), text_evidence.labels_N)
    of_text = scale if bases[0] == "text" or worth > of_chance + GATE else 0.0
    return tuple(of_text if base == "text" else USUAL_SCALES[base] for base in bases)


def log_likelihood(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Return the sum of the logarithms of the true classes' probabilities."""
    return -float(functional.cross_entropy(logits_NC, labels_N, reduction="sum")) if len(labels_N) else 0.0


def _fit(evidence: Sequence[Evidence]) -> tuple[list[float], float]:
    """Return the scales with the largest posterior, one at a time in turn, and its logarithm."""
    over_usual = [0.0] * len(evidence)

    def worth(logs: Sequence[float]) -> float:
        weights = [USUAL_SCALES[one.base] * math.exp(log) for one, log in zip(evidence, logs, strict=True)]
        logits_NC = torch.stack([weight * one.scores_NC for weight, one in zip(weights, evidence, strict=True)]).sum(dim=0)
        prior = -sum(log**2 for log in logs) / (2 * PRIOR_DEVIATION**2)
        return log_likelihood(logits_NC, evidence[0].labels_N) + prior

    for _ in range(_ROUNDS if len(evidence) > 1 else 1):
        for index in range(len(evidence)):
            over_usual[index] = _highest(lambda log, at=index: worth([*over_usual[:at], log, *over_usual[at + 1 :]]))  # type: ignore[misc]
    return [USUAL_SCALES[one.base] * math.exp(log) for one, log in zip(evidence, over_usual, strict=True)], worth(over_usual)


def _highest(worth: Callable[[float], float]) -> float:
    """Return where a function with one peak is highest, by golden-section search."""
    low, high = -_WIDEST, _WIDEST
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = worth(left), worth(right)
    for _ in range(_SEARCH_STEPS):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = worth(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = worth(left)
    return (low + high) / 2
