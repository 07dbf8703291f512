"""Compare stated probabilities with how often they are right.

Shapes: N images, C classes.
Source: Guo et al. 2017, arXiv:1706.04599, expected calibration error.
"""

from __future__ import annotations

from torch import Tensor

NUM_BINS = 10


def calibration_error(probabilities_NC: Tensor, labels_N: Tensor) -> float:
    """Return the expected calibration error: mean gap between stated and real accuracy over bins of stated probability."""
    stated_N, said_N = probabilities_NC.max(dim=-1)
    right_N = (said_N == labels_N).double()
    bins_N = (stated_N * NUM_BINS).long().clamp_max(NUM_BINS - 1)
    gaps = [float((right_N[bins_N == number] - stated_N[bins_N == number]).sum().abs()) for number in range(NUM_BINS)]
    return sum(gaps) / len(labels_N)
