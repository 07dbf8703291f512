"""Compute a block's activation together with its derivative.

Shapes: any.
Source: GELU(x) = x Phi(x), Hendrycks & Gimpel 2016, arXiv:1606.08415; QuickGELU(x) = x sigmoid(1.702 x), OpenAI's CLIP.
"""

from __future__ import annotations

import torch
from torch import Tensor

QUICK_GELU_SLOPE = 1.702
"""Factor in QuickGELU. Source: OpenAI's CLIP."""


def activate(inner: Tensor, *, is_quick: bool) -> tuple[Tensor, Tensor]:
    """Return the activation and its derivative.

    Args:
        inner: any input.
        is_quick: use QuickGELU instead of GELU.
    """
    if is_quick:
        gate = torch.sigmoid(QUICK_GELU_SLOPE * inner)
        active = inner * gate
        return active, torch.addcmul(gate, active, 1 - gate, value=QUICK_GELU_SLOPE)
    return torch.nn.functional.gelu(inner), torch.ops.aten.gelu_backward(torch.ones_like(inner), inner)
