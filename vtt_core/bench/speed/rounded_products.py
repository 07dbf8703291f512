"""Let torch's autograd run linear layers with frozen weights in another type, for the floor under a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vtt_core.backbones.frozen_linear import FrozenLinear


class RoundedProducts(TorchFunctionMode):
    """Inside this context, linear layers compute their products in the type; what comes in and goes out keeps its own."""

    def __init__(self, dtype: torch.dtype) -> None:
        """Take the type; weights are converted when they are first met, and kept."""
        super().__init__()
        self._dtype = dtype
        self._layers: dict[int, FrozenLinear] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one function of torch."""
        if func is not functional.linear:
            return func(*args, **(kwargs or {}))
        rows, weight, bias = args
        if weight.data_ptr() not in self._layers:
            self._layers[weight.data_ptr()] = FrozenLinear.of(weight, bias, self._dtype)
        return _Rounded.apply(rows, self._layers[weight.data_ptr()])  # type: ignore[no-untyped-call]


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, layer: FrozenLinear) -> Tensor:
        """Return the layer's output; the way back needs nothing else."""
        ctx.layer, ctx.dtype = layer, rows.dtype
        return layer.forward(rows).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the rows."""
        return ctx.layer.backward(gradients[0]).to(ctx.dtype), None
