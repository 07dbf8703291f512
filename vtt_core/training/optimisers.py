"""Make the optimisers of a fine-tuning, and give the learning rate of each step.

Source: METHOD.md, step 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.adamw import AdamW

Optimiser = AdamW | torch.optim.Optimizer


def make_optimisers(of_host: Iterable[Tensor], of_fusion: Iterable[Tensor], recipe: FinetuneRecipe) -> list[Optimiser]:
    """Return what updates the tensors of the host and of the fusion network, each with its own start of the schedule."""
    host = {"params": list(of_host), "start": recipe.host_learning_rate, "warm_up_steps": recipe.warm_up_steps}
    fusion = {"params": list(of_fusion), "start": recipe.fusion_learning_rate, "warm_up_steps": 0}

    if recipe.optimiser == "adamw":
        return [AdamW([host, fusion], recipe)]
    sgd = torch.optim.SGD([host], momentum=recipe.adam_beta1, weight_decay=recipe.weight_decay)
    return [sgd, AdamW([fusion], recipe)] if fusion["params"] else [sgd]


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
