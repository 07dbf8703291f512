"""Compare two models on the same images, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtt_core.contract.interval import mcnemar_p_value, paired_interval
from vtt_core.evaluation.evaluate import Judged


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of one model minus that of another, on the images whose classes both know."""

    difference: float
    low: float
    high: float
    """Ends of the 95 % interval by Bonett and Price."""
    p_value: float
    """Exact McNemar test: how often models of equal accuracy differ as much, or more."""
    num_images: int
    num_only_this: int
    """Images that only this model classifies correctly."""
    num_only_other: int
    """Images that only the other one does."""


def paired_difference(this: Sequence[Judged], other: Sequence[Judged]) -> PairedDifference | None:
    """Return the difference of two models; None where they know no class of the images in common.

    Args:
        this: what one model says of the images.
        other: what the other says of them, in the same order.
    """
    pairs = [(one, two) for one, two in zip(this, other, strict=True) if one.label is not None and two.label is not None]
    if not pairs:
        return None
    only_this = sum(one.is_right and not two.is_right for one, two in pairs)
    only_other = sum(two.is_right and not one.is_right for one, two in pairs)
    low, high = paired_interval(only_this, only_other, len(pairs))
    difference = (only_this - only_other) / len(pairs)
    return PairedDifference(difference, low, high, mcnemar_p_value(only_this, only_other), len(pairs), only_this, only_other)
