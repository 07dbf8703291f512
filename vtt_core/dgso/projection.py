"""Compare the combined gradient with the classification gradient, and resolve their conflict.

Source: Zhang et al. 2026, arXiv:2603.05235, DGSO; METHOD.md, step 5 and row "gradient cosine".
"""

from __future__ import annotations

import torch
from torch import Tensor


def conflict_cosine(combined: Tensor, classification: Tensor) -> Tensor:
    """Return the cosine of two gradients of one tensor; a zero gradient counts as +1.

    Args:
        combined: gradient of L_ce + beta L_vtt.
        classification: gradient of L_ce, same shape.
    """
    cosine = (combined * classification).sum() / (combined.norm() * classification.norm())
    return torch.where(cosine.isnan(), torch.ones_like(cosine), cosine)


def project_out(combined: Tensor, classification: Tensor, cosine: Tensor) -> Tensor:
    """Return the combined gradient, without its part along the classification gradient where they conflict.

    Args:
        combined: gradient of L_ce + beta L_vtt.
        classification: gradient of L_ce, same shape.
        cosine: what `conflict_cosine` gave for them; below zero means conflict.
    """
    along = (combined * classification).sum() / classification.square().sum()
    return torch.where(cosine < 0, combined - along * classification, combined)
