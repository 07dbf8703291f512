"""Compute a block's activation together with its derivative.

On a CPU, one loop reads each input once and takes one exponential for both; elsewhere torch computes them.

Shapes: any.
Source: GELU(x) = x Phi(x), Hendrycks & Gimpel 2016, arXiv:1606.08415; QuickGELU(x) = x sigmoid(1.702 x), OpenAI's CLIP;
    Phi: Abramowitz & Stegun 1964, 26.2.17, each factor divided by sqrt(2 pi); its error is 7.5e-8 at most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtt_core.kernels.bfloat16 import LOOP_TYPES, loop_array, store, widened
from vtt_core.kernels.numba_loops import compiled, exp, inlined

QUICK_GELU_SLOPE = 1.702
"""Factor in QuickGELU. Source: OpenAI's CLIP."""
_real = np.float32


def activate(inner: Tensor, *, is_quick: bool) -> tuple[Tensor, Tensor]:
    """Return the activation and its derivative.

    Args:
        inner: any input, contiguous.
        is_quick: use QuickGELU instead of GELU.
    """
    if inner.device.type != "cpu" or inner.dtype not in LOOP_TYPES:
        return _by_torch(inner, is_quick=is_quick)
    assert inner.is_contiguous(), "the loops go through memory in its order"
    active, slope = torch.empty_like(inner), torch.empty_like(inner)
    loop = _quick_gelus if is_quick else _gelus
    loop(*(loop_array(tensor).reshape(-1) for tensor in (active, slope, inner)))
    return active, slope


def _by_torch(inner: Tensor, *, is_quick: bool) -> tuple[Tensor, Tensor]:
    if is_quick:
        gate = torch.sigmoid(QUICK_GELU_SLOPE * inner)
        active = inner * gate
        return active, torch.addcmul(gate, active, 1 - gate, value=QUICK_GELU_SLOPE)
    return torch.nn.functional.gelu(inner), torch.ops.aten.gelu_backward(torch.ones_like(inner), inner)


@inlined
def _gelu(x: Any) -> Any:
    """Return GELU and its derivative."""
    bell = exp(_real(-0.5) * x * x)
    t = _real(1) / (_real(1) + _real(0.2316419) * abs(x))
    series = _real(0.5307027145) * t + _real(-0.7265760135)
    series = series * t + _real(0.7107068705)
    series = series * t + _real(-0.142248368)
    series = series * t + _real(0.127414796)
    tail = series * t * bell
    phi = _real(1) - tail if x >= 0 else tail
    return x * phi, phi + x * bell * _real(0.3989422804)


@inlined
def _quick_gelu(x: Any) -> Any:
    """Return QuickGELU and its derivative."""
    decay = exp(_real(-QUICK_GELU_SLOPE) * abs(x))
    gate = (_real(1) if x >= 0 else decay) / (_real(1) + decay)
    active = x * gate
    return active, gate + _real(QUICK_GELU_SLOPE) * active * (_real(1) - gate)


@compiled
def _gelus(active: Any, slope: Any, inner: Any) -> None:
    for index in range(inner.size):
        active_one, slope_one = _gelu(widened(inner[index]))
        store(active, index, active_one)
        store(slope, index, slope_one)


@compiled
def _quick_gelus(active: Any, slope: Any, inner: Any) -> None:
    for index in range(inner.size):
        active_one, slope_one = _quick_gelu(widened(inner[index]))
        store(active, index, active_one)
        store(slope, index, slope_one)
