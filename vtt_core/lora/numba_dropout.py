"""Apply a layer's dropout in one pass over memory: the same numbers as `LayerDropout.apply`.

Shapes: B images, T tokens, W tower width, K cotangents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtt_core.kernels.numba_loops import compiled
from vtt_core.kernels.triton_kernels import has_kernels
from vtt_core.lora.dropout import LayerDropout
from vtt_core.lora.triton_dropout import triton_add_kept, triton_keep


def keep(x_BTW: Tensor, dropout: LayerDropout | None, projection: int) -> Tensor:
    """Return the inputs that a projection keeps, scaled, and zeros.

    Args:
        x_BTW: input of the projection.
        dropout: None means that all are kept.
        projection: 0 for q, 1 for k, 2 for v.
    """
    if dropout is None:
        return x_BTW
    if has_kernels(x_BTW):
        return triton_keep(x_BTW, dropout, projection)
    if x_BTW.device.type != "cpu":
        return dropout.apply(x_BTW, projection)
    kept_BTW = torch.empty(x_BTW.shape, dtype=x_BTW.dtype)
    bytes_BTW = dropout.bytes_PBTW[projection, :, : x_BTW.shape[1]]
    _keep(kept_BTW.numpy(), x_BTW.numpy(), bytes_BTW.numpy(), dropout.num_dropped, _factor(x_BTW, dropout))
    return kept_BTW


def add_kept(total_KBTW: Tensor, gradient_KBTW: Tensor, dropout: LayerDropout | None, projection: int) -> None:
    """Add to the totals the gradients of what was kept, scaled.

    Args:
        total_KBTW: changed in place.
        gradient_KBTW: with respect to what `keep` returned.
        dropout: None means that all were kept.
        projection: 0 for q, 1 for k, 2 for v.
    """
    if dropout is None:
        total_KBTW += gradient_KBTW
    elif has_kernels(total_KBTW):
        for total_BTW, gradient_BTW in zip(total_KBTW, gradient_KBTW, strict=True):
            triton_add_kept(total_BTW, gradient_BTW, dropout, projection)
    elif total_KBTW.device.type != "cpu":
        total_KBTW += dropout.apply(gradient_KBTW, projection)
    else:
        bytes_BTW = dropout.bytes_PBTW[projection, :, : total_KBTW.shape[2]]
        factor = _factor(total_KBTW, dropout)
        _add_kept(total_KBTW.numpy(), gradient_KBTW.numpy(), bytes_BTW.numpy(), dropout.num_dropped, factor)


def _factor(x_BTW: Tensor, dropout: LayerDropout) -> Any:
    return np.float32(dropout.scale) if x_BTW.dtype == torch.float32 else np.float64(dropout.scale)


@compiled
def _keep(kept: Any, x: Any, drawn: Any, num_dropped: Any, factor: Any) -> None:
    num_images, num_tokens, width = x.shape
    for b in range(num_images):
        for t in range(num_tokens):
            for w in range(width):
                kept[b, t, w] = x[b, t, w] * factor if drawn[b, t, w] >= num_dropped else 0


@compiled
def _add_kept(total: Any, gradient: Any, drawn: Any, num_dropped: Any, factor: Any) -> None:
    num_cotangents, num_images, num_tokens, width = total.shape
    for k in range(num_cotangents):
        for b in range(num_images):
            for t in range(num_tokens):
                for w in range(width):
                    if drawn[b, t, w] >= num_dropped:
                        total[k, b, t, w] += gradient[k, b, t, w] * factor
