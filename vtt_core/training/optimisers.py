"""Make the optimisers of a fine-tuning, and give the learning rate of each step.

Source: METHOD.md, step 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from vtt_core.contract.recipe import FinetuneRecipe


def make_optimisers(
    of_host: Iterable[Tensor], of_fusion: Iterable[Tensor], recipe: FinetuneRecipe
) -> list[torch.optim.Optimizer]:
    """Return what updates the tensors of the host and of the fusion network, each with its own start of the schedule."""
    host = {"params": list(of_host), "start": recipe.host_learning_rate, "warm_up_steps": recipe.warm_up_steps}
    fusion = {"params": list(of_fusion), "start": recipe.fusion_learning_rate, "warm_up_steps": 0}

    def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            groups,
            lr=recipe.host_learning_rate,
            betas=(recipe.adam_beta1, recipe.adam_beta2),
            eps=recipe.adam_epsilon,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    if recipe.optimiser == "adamw":
        return [adamw([host, fusion])]
    sgd = torch.optim.SGD([host], momentum=recipe.adam_beta1, weight_decay=recipe.weight_decay)
    return [sgd, adamw([fusion])] if fusion["params"] else [sgd]


def learning_rate(start: float, step: int, recipe: FinetuneRecipe, warm_up_steps: int = 0) -> float:
    """Return the rate for a step: that of the warm-up, then the cosine schedule's.

    Args:
        start: rate of the first step.
        step: number of finished steps.
        recipe: half period, floor and warm-up.
        warm_up_steps: of these tensors.
    """
    if step < warm_up_steps:
        return recipe.warm_up_learning_rate
    share = step / (recipe.schedule_stretch * recipe.iterations)
    return recipe.min_learning_rate + (start - recipe.min_learning_rate) * (1 + math.cos(math.pi * share)) / 2
