"""A frozen linear layer whose products may be rounded to bfloat16, on processors that multiply it faster.

Sums are kept in float32 by the processor; what comes in and goes out has bfloat16's 8 significant bits.

Shapes: any number of leading dimensions, I inputs, O outputs.
Source: Kalamkar et al. 2019, arXiv:1905.12322, "A Study of BFLOAT16 for Deep Learning Training".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrozenLinear:
    """Weight and bias in the type that products are computed in; results have that type."""

    weight_OI: Tensor
    bias_O: Tensor

    @classmethod
    def of(cls, weight_OI: Tensor, bias_O: Tensor, dtype: torch.dtype | None) -> FrozenLinear:
        """Take weights, as they are where no type is named."""
        return cls(weight_OI.detach().to(dtype), bias_O.detach().to(dtype))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the layer's output, (..., O)."""
        output: Tensor = torch.nn.functional.linear(rows.to(self.weight_OI.dtype), self.weight_OI, self.bias_O)
        return output

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the input, (..., I), from that of the output."""
        return gradient.to(self.weight_OI.dtype) @ self.weight_OI

    def outputs(self, first: int, end: int | None) -> FrozenLinear:
        """Return the layer with some of its outputs alone."""
        return FrozenLinear(self.weight_OI[first:end], self.bias_O[first:end])
