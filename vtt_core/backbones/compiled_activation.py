"""Compute a block's activation and its derivative in one pass over memory.

Shapes: any.
Source: GELU(x) = x Phi(x), Hendrycks & Gimpel 2016, arXiv:1606.08415; QuickGELU(x) = x sigmoid(1.702 x), OpenAI's CLIP. In
    float32 the error function is Abramowitz & Stegun 7.1.26 (absolute error 1.5e-7), which shares its exponential with the
    normal density in the derivative.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor

from vtt_core.compiled import compiled, exp, inlined

QUICK_GELU_SLOPE = 1.702
"""Factor in QuickGELU. Source: OpenAI's CLIP."""


def activate(inner: Tensor, *, is_quick: bool) -> tuple[Tensor, Tensor]:
    """Return the activation and its derivative.

    Args:
        inner: contiguous input.
        is_quick: QuickGELU in place of GELU.
    """
    if inner.device.type == "cpu":
        active, slope = torch.empty_like(inner), torch.empty_like(inner)
        loop = _quick_gelu if is_quick else _gelu
        loop(inner.view(-1).numpy(), active.view(-1).numpy(), slope.view(-1).numpy())
        return active, slope
    if is_quick:
        gate = torch.sigmoid(QUICK_GELU_SLOPE * inner)
        return inner * gate, torch.addcmul(gate, inner * gate, 1 - gate, value=QUICK_GELU_SLOPE)
    return torch.nn.functional.gelu(inner), torch.ops.aten.gelu_backward(torch.ones_like(inner), inner)


@inlined
def _normal32(x: Any) -> Any:
    """Return the standard normal distribution and density at x."""
    z = abs(x) * np.float32(0.7071067811865476)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * z)
    p = np.float32(1.061405429)
    p = p * t + np.float32(-1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t + np.float32(-0.284496736)
    p = p * t + np.float32(0.254829592)
    bell = exp(-z * z)
    upper = np.float32(0.5) * p * t * bell
    below = upper if x < 0 else np.float32(1) - upper
    return below, bell * np.float32(0.3989422804014327)


def _normal(x: Any) -> Any:
    """Return the standard normal distribution and density at x."""
    return 0.5 * (1 + math.erf(x * math.sqrt(0.5))), math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


@overload(_normal, inline="always")
def _normal_of_type(x: Any) -> Any:
    def single(x: Any) -> Any:
        return _normal32(x)

    def double(x: Any) -> Any:
        return 0.5 * (1 + math.erf(x * math.sqrt(0.5))), math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)

    return single if x == types.float32 else double


@compiled
def _gelu(inner: Any, active: Any, slope: Any) -> None:
    for index in range(len(inner)):
        x = inner[index]
        below, density = _normal(x)
        active[index] = x * below
        slope[index] = below + x * density


@compiled
def _quick_gelu(inner: Any, active: Any, slope: Any) -> None:
    factor = inner.dtype.type(QUICK_GELU_SLOPE)
    one = inner.dtype.type(1)
    for index in range(len(inner)):
        x = inner[index]
        small = exp(-abs(factor * x))
        larger = one / (one + small)
        gate = larger if x > 0 else one - larger
        active[index] = x * gate
        slope[index] = gate * (one + factor * x * (one - gate))
