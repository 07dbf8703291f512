"""A linear classifier: all that is served of a head, whatever it was made of.

Shapes: B images, C classes, X size of its input (`features.head_input`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinearHead:
    """Scores of every class: one product and a sum."""

    weight_CX: Tensor
    bias_C: Tensor

    def scores(self, phi_BX: Tensor) -> Tensor:
        """Return scores_BC; a softmax of a calibrated head's scores gives probabilities."""
        return phi_BX @ self.weight_CX.mT + self.bias_C

    def to_float(self) -> LinearHead:
        """Return the head in float32, as it is written and served."""
        return LinearHead(self.weight_CX.float(), self.bias_C.float())

    def scaled(self, factor: float) -> LinearHead:
        """Return a head whose scores are `factor` times these."""
        return LinearHead(factor * self.weight_CX, factor * self.bias_C)


def sum_of(heads: Sequence[LinearHead]) -> LinearHead:
    """Return a head whose scores are the sums of the heads' scores."""
    weights, biases = torch.stack([head.weight_CX for head in heads]), torch.stack([head.bias_C for head in heads])
    return LinearHead(weights.sum(dim=0), biases.sum(dim=0))
