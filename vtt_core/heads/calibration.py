"""Compare the probabilities of a head with how often they are right.

Shapes: N images, C classes.
Source: as of vtt_core/evaluation/reliability.py, which counts.
"""

from __future__ import annotations

from torch import Tensor

from vtt_core.evaluation import reliability


def calibration_error(probabilities_NC: Tensor, labels_N: Tensor) -> float:
    """Return the expected calibration error: mean gap between stated and real accuracy over bins of stated probability."""
    return reliability.calibration_error(reliability_bins(probabilities_NC, labels_N))


def reliability_bins(probabilities_NC: Tensor, labels_N: Tensor) -> tuple[reliability.ReliabilityBin, ...]:
    """Return the points of the reliability curve."""
    stated_N, said_N = probabilities_NC.max(dim=-1)
    return reliability.reliability(stated_N.tolist(), (said_N == labels_N).tolist())
