"""Take one training step: forward, two gradients, DGSO, AdamW. The page to read beside the paper.

Shapes: B images, C classes, L layers, D joint size, V views.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors encode the support images once more without using the result, and run in fp16 with
    loss scaling, whose first steps overflow and are skipped. Neither is done here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import AbsorptionPrompt, absorb
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.network import FusionNetwork
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.lora.layers import TowerLora
from vtt_core.losses import absorption_loss, class_logits, classification_loss


@dataclass(frozen=True)
class Problem:
    """What stays the same during a fine-tuning."""

    backbone: Backbone
    views_V3HW: Tensor
    """Every view of every support image."""
    labels_V: Tensor
    """Class index of every view."""
    text_CLD: Tensor
    """Layer features of the class prompts, from the frozen text tower."""
    prompt: AbsorptionPrompt
    """Where a fused vector is absorbed."""

    @property
    def prototypes_CD(self) -> Tensor:
        """Unit text feature of every class."""
        return functional.normalize(self.text_CLD[:, -1], dim=-1)

    def sha256(self) -> str:
        """Hash of what is learnt from: views, labels and text features."""
        return hash_weights({"views": self.views_V3HW, "labels": self.labels_V, "text": self.text_CLD})


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
            {"params": list(lora.parameters()), "start": recipe.lora_learning_rate},
            {"params": list(fusion.parameters()), "start": recipe.fusion_learning_rate},
        ],
        lr=recipe.lora_learning_rate,
        betas=(recipe.adam_beta1, recipe.adam_beta2),
        eps=recipe.adam_epsilon,
        weight_decay=recipe.weight_decay,
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
    problem: Problem, state: TrainingState, recipe: FinetuneRecipe, batch_B: Tensor, generator: torch.Generator | None
) -> StepReport:
    """Take one step of the recipe.

    Args:
        problem: images, labels and text features.
        state: changed in place.
        recipe: constants.
        batch_B: indices of the views of this mini-batch.
        generator: source of the LoRA's dropout; None means no dropout.
    """
    labels_B = problem.labels_V[batch_B]
    vision_BLD = problem.backbone.vision_tower.layer_features(problem.views_V3HW[batch_B], state.lora, generator)
    features_BD = vision_BLD[:, -1]
    loss_ce = classification_loss(class_logits(features_BD, problem.prototypes_CD, recipe.logit_scale), labels_B)

    loss_vtt = cosine = None
    if state.dgso.is_absorbing:
        fused_BD = state.fusion(interleave_layers(vision_BLD, problem.text_CLD[labels_B]))
        absorbed_BD = absorb(problem.backbone.text_tower, problem.prompt, fused_BD)
        loss_vtt = absorption_loss(absorbed_BD, features_BD)
        cosine = _supervised_gradients(state, loss_ce, loss_vtt, recipe.absorption_weight)
    else:
        _plain_gradients(state, loss_ce)

    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(group["start"], state.step, recipe)
    state.optimiser.step()
    state.step += 1
    if cosine is not None:
        state.dgso.observe(cosine)
    return StepReport(
        step=state.step,
        num_steps=recipe.iterations,
        classification_loss=loss_ce.item(),
        absorption_loss=None if loss_vtt is None else loss_vtt.item(),
        conflict_cosine=cosine,
        is_absorbing=state.dgso.is_absorbing,
        absorption_stopped_at=state.dgso.stopped_at,
    )


def _supervised_gradients(state: TrainingState, loss_ce: Tensor, loss_vtt: Tensor, absorption_weight: float) -> float:
    """Set the gradients of L_comb = L_ce + beta L_vtt, projected on the LoRA; return the mean cosine."""
    lora, fusion = list(state.lora.parameters()), list(state.fusion.parameters())
    gradients_ce = torch.autograd.grad(loss_ce, lora, retain_graph=True)
    gradients_vtt = torch.autograd.grad(loss_vtt, lora + fusion)
    cosines = []
    for parameter, gradient_ce, gradient_vtt in zip(lora, gradients_ce, gradients_vtt[: len(lora)], strict=True):
        gradient_comb = gradient_ce + absorption_weight * gradient_vtt
        cosine = conflict_cosine(gradient_comb, gradient_ce)
        parameter.grad = project_out(gradient_comb, gradient_ce, cosine)
        cosines.append(cosine)
    for parameter, gradient_vtt in zip(fusion, gradients_vtt[len(lora) :], strict=True):
        parameter.grad = absorption_weight * gradient_vtt
    return torch.stack(cosines).mean().item()


def _plain_gradients(state: TrainingState, loss_ce: Tensor) -> None:
    """Set the gradients of L_ce on the LoRA; the fusion network gets none and is left alone."""
    lora = list(state.lora.parameters())
    for parameter, gradient in zip(lora, torch.autograd.grad(loss_ce, lora), strict=True):
        parameter.grad = gradient
    for parameter in state.fusion.parameters():
        parameter.grad = None
