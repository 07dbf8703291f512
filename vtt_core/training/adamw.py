"""AdamW by torch's functional form: the same numbers and the same fused kernel as `torch.optim.AdamW(fused=True)`.

The class of torch imports torch's compiler when it is made, which takes seconds of a job.

Source: Loshchilov & Hutter 2019, arXiv:1711.05101; torch.optim.adamw.adamw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from vtt_core.contract.recipe import FinetuneRecipe


class AdamW:
    """Groups of tensors, each with a learning rate `lr`, and what is remembered of each tensor."""

    def __init__(self, groups: Sequence[dict[str, Any]], recipe: FinetuneRecipe) -> None:
        """Take the groups: tensors in `params`, and anything else that their owner wants to keep there."""
        self._recipe = recipe
        self.param_groups = [group | {"lr": recipe.host_learning_rate} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        """Of each tensor that ever had a gradient, its moments and its number of steps."""

    def step(self) -> None:
        """Change the tensors that have a gradient."""
        recipe = self._recipe
        for group in self.param_groups:
            changed = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not changed:
                continue
            remembered = [self._remembered(parameter) for parameter in changed]
            first, second, steps = ([one[name] for one in remembered] for name in ("exp_avg", "exp_avg_sq", "step"))
            with torch.no_grad():
                adamw(
                    changed,
                    [parameter.grad for parameter in changed],
                    first,
                    second,
                    [],
                    steps,
                    fused=True,
                    amsgrad=False,
                    maximize=False,
                    beta1=recipe.adam_beta1,
                    beta2=recipe.adam_beta2,
                    lr=group["lr"],
                    weight_decay=recipe.weight_decay,
                    eps=recipe.adam_epsilon,
                )

    def _remembered(self, parameter: Tensor) -> dict[str, Tensor]:
        if parameter not in self.state:
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        return self.state[parameter]
