"""Take one training step: two gradients, DGSO, AdamW. The page to read beside the paper.

Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors encode the support images once more without using the result, and run in fp16 with
    loss scaling, whose first steps overflow and are skipped. Neither is done here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.network import Fusion
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.training.gradients import GradientsOf, StepGradients, plain_gradients


@dataclass
class TrainingState:
    """What a step changes."""

    host: Host
    fusion: Fusion
    optimisers: list[torch.optim.Optimizer]
    dgso: Dgso
    step: int = 0

    @property
    def lora(self) -> TowerLora:
        """LoRA of the vision tower, of a host that has one."""
        assert self.host.vision_lora is not None
        return self.host.vision_lora


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


def train_step(
    data: TrainingData,
    state: TrainingState,
    recipe: FinetuneRecipe,
    views_B: Tensor,
    dropout: Dropout | None,
    gradients_of: GradientsOf = plain_gradients,
) -> StepReport:
    """Take one step of the recipe.

    Args:
        data: images, labels and text features.
        state: changed in place.
        recipe: constants.
        views_B: indices of the views of this mini-batch.
        dropout: of the LoRA's inputs; None means that all are kept.
        gradients_of: computes losses and gradients, the plain way or the fast one.
    """
    batch = Batch(views_B, dropout, state.dgso.is_absorbing)
    gradients = gradients_of(data, state.host, state.fusion, recipe, batch)
    return apply_gradients(state, recipe, gradients)


def apply_gradients(state: TrainingState, recipe: FinetuneRecipe, gradients: StepGradients) -> StepReport:
    """Supervise the gradients, update the parameters, and decide whether absorption goes on.

    Args:
        state: changed in place.
        recipe: constants.
        gradients: of the state's parameters.
    """
    figures = [gradients.classification_loss]
    if gradients.absorption_loss is None:
        _set_gradients(state, list(gradients.host_classification), [None for _ in state.fusion.parameters()])
    else:
        figures += [gradients.absorption_loss, _supervise(state, gradients, recipe)]
    for optimiser in state.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(group["start"], state.step, recipe, group["warm_up_steps"])
        optimiser.step()
    state.step += 1
    # The only time that a step waits for the device, once everything is on its way there.
    loss_ce, loss_vtt, cosine = (*torch.stack(figures).tolist(), None, None)[:3]
    if cosine is not None:
        state.dgso.observe(cosine)
    return StepReport(
        step=state.step,
        num_steps=recipe.iterations,
        classification_loss=loss_ce,
        absorption_loss=loss_vtt,
        conflict_cosine=cosine,
        is_absorbing=state.dgso.is_absorbing,
        absorption_stopped_at=state.dgso.stopped_at,
    )


def _supervise(state: TrainingState, gradients: StepGradients, recipe: FinetuneRecipe) -> Tensor:
    """Set the gradients of L_comb = L_ce + beta L_vtt, projected on the host; return the mean cosine of its tensors."""
    supervised, cosines = [], []
    for g_ce, g_vtt in zip(gradients.host_classification, gradients.host_absorption, strict=True):
        g_comb = g_ce + recipe.absorption_weight * g_vtt
        cosine = conflict_cosine(g_comb, g_ce)
        supervised.append(project_out(g_comb, g_ce, cosine) if recipe.projects_conflict else g_comb)
        cosines.append(cosine.flatten())
    _set_gradients(state, supervised, [recipe.absorption_weight * gradient for gradient in gradients.fusion_absorption])
    return torch.cat(cosines).mean()


def _set_gradients(state: TrainingState, on_host: list[Tensor], on_fusion: list[Tensor] | list[None]) -> None:
    """Hand the gradients to the optimisers; a parameter without one is left alone, decay included.

    The fused AdamW reads a gradient in the order of its parameter's memory, whatever the gradient's own is.
    """
    for parameter, gradient in zip(state.host.parameters(), on_host, strict=True):
        parameter.grad = gradient.contiguous()
    for parameter, of_fusion in zip(state.fusion.parameters(), on_fusion, strict=True):
        parameter.grad = None if of_fusion is None else of_fusion.contiguous()
