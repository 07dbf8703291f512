"""Build a model without drawing the random weights that the weights of a file replace right after.

For `ViT-B-32` drawing takes most of the time that it takes to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

_DRAW = {torch.Tensor.normal_, torch.Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_}


class UnsetWeights(TorchFunctionMode):
    """Within this context, new weights keep whatever is in their memory. Load all of them with `strict=True` right after."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch, but for those that fill a tensor with random numbers."""
        named = kwargs or {}
        if function in _DRAW:
            return named["tensor"] if "tensor" in named else args[0]
        return function(*args, **named)
