"""Compare the combined gradient with the classification gradient, and resolve their conflict.

The last two dimensions are one matrix of the LoRA; any before them count matrices, each with a cosine of its own.

Source: Zhang et al. 2026, arXiv:2603.05235, DGSO; METHOD.md, step 5 and row "gradient cosine".
"""

from __future__ import annotations

import torch
from torch import Tensor

MATRIX = (-2, -1)
"""Dimensions of one matrix."""


def conflict_cosine(combined: Tensor, classification: Tensor) -> Tensor:
    """Return the cosine of two gradients of each matrix, shape (..., 1, 1); a zero gradient counts as +1.

    Args:
        combined: gradient of L_ce + beta L_vtt.
        classification: gradient of L_ce, same shape.
    """
    dot = (combined * classification).sum(MATRIX, keepdim=True)
    cosine = dot / (combined.norm(dim=MATRIX, keepdim=True) * classification.norm(dim=MATRIX, keepdim=True))
    return torch.where(cosine.isnan(), torch.ones_like(cosine), cosine)


def project_out(combined: Tensor, classification: Tensor, cosine: Tensor) -> Tensor:
    """Return the combined gradient, without its part along the classification gradient where they conflict.

    Args:
        combined: gradient of L_ce + beta L_vtt.
        classification: gradient of L_ce, same shape.
        cosine: what `conflict_cosine` gave for them; below zero means conflict.
    """
    dot = (combined * classification).sum(MATRIX, keepdim=True)
    along = dot / classification.square().sum(MATRIX, keepdim=True)
    return torch.where(cosine < 0, combined - along * classification, combined)
