"""Take one training step: two gradients, DGSO, AdamW. The page to read beside the paper.

Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors encode the support images once more without using the result, and run in fp16 with
    loss scaling, whose first steps overflow and are skipped. Neither is done here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.network import FusionNetwork
from vtt_core.gradients import Batch, GradientsOf, Problem, StepGradients, plain_gradients
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.layers import TowerLora


@dataclass
class TrainingState:
    """What a step changes."""

    lora: TowerLora
    fusion: FusionNetwork
    optimiser: torch.optim.AdamW
    dgso: Dgso
    step: int = 0


def make_optimiser(lora: TowerLora, fusion: FusionNetwork, recipe: FinetuneRecipe) -> torch.optim.AdamW:
    """Return AdamW over the LoRA and the fusion network, each with its own start of the schedule."""
    return torch.optim.AdamW(
        [
            {"params": list(lora.parameters()), "start": recipe.host_learning_rate},
            {"params": list(fusion.parameters()), "start": recipe.fusion_learning_rate},
        ],
        lr=recipe.host_learning_rate,
        betas=(recipe.adam_beta1, recipe.adam_beta2),
        eps=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def learning_rate(start: float, step: int, recipe: FinetuneRecipe) -> float:
    """Return the cosine schedule's rate for a step.

    Args:
        start: rate of the first step.
        step: number of finished steps.
        recipe: half period and floor.
    """
    share = step / (recipe.schedule_stretch * recipe.iterations)
    return recipe.min_learning_rate + (start - recipe.min_learning_rate) * (1 + math.cos(math.pi * share)) / 2


def train_step(
    problem: Problem,
    state: TrainingState,
    recipe: FinetuneRecipe,
    views_B: Tensor,
    dropout: Dropout | None,
    gradients_of: GradientsOf = plain_gradients,
) -> StepReport:
    """Take one step of the recipe.

    Args:
        problem: images, labels and text features.
        state: changed in place.
        recipe: constants.
        views_B: indices of the views of this mini-batch.
        dropout: of the LoRA's inputs; None means that all are kept.
        gradients_of: computes losses and gradients, the plain way or the fast one.
    """
    batch = Batch(views_B, dropout, state.dgso.is_absorbing)
    gradients = gradients_of(problem, state.lora, state.fusion, recipe, batch)
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
        _set_gradients(state, list(gradients.lora_classification), [None for _ in state.fusion.parameters()])
    else:
        figures += [gradients.absorption_loss, _supervise(state, gradients, recipe.absorption_weight)]
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(group["start"], state.step, recipe)
    state.optimiser.step()
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


def _supervise(state: TrainingState, gradients: StepGradients, absorption_weight: float) -> Tensor:
    """Set the gradients of L_comb = L_ce + beta L_vtt, projected on the LoRA; return the mean cosine of its matrices."""
    projected, cosines = [], []
    for g_ce, g_vtt in zip(gradients.lora_classification, gradients.lora_absorption, strict=True):
        g_comb = g_ce + absorption_weight * g_vtt
        cosine = conflict_cosine(g_comb, g_ce)
        projected.append(project_out(g_comb, g_ce, cosine))
        cosines.append(cosine.flatten())
    _set_gradients(state, projected, [absorption_weight * gradient for gradient in gradients.fusion_absorption])
    return torch.cat(cosines).mean()


def _set_gradients(state: TrainingState, on_lora: list[Tensor], on_fusion: list[Tensor] | list[None]) -> None:
    """Hand the gradients to the optimiser; a parameter without one is left alone, decay included."""
    for parameter, gradient in zip(state.lora.parameters(), on_lora, strict=True):
        parameter.grad = gradient
    for parameter, of_fusion in zip(state.fusion.parameters(), on_fusion, strict=True):
        parameter.grad = of_fusion
