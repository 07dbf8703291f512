"""Compute the two losses of a batch and their gradients: the plain reference, one call of autograd a loss.

`fast_gradients.py` gives the same numbers in less time.

Shapes: B images, C classes, L layers, D joint size, V views.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, steps 1 to 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import AbsorptionPrompt, absorb
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.network import FusionNetwork
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.lora.dropout import Dropout
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


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    views_B: Tensor
    """Indices of the views."""
    dropout: Dropout | None
    """Of the LoRA's inputs; None means that all are kept."""
    is_absorbing: bool
    """Whether the absorption loss is wanted."""

    def rows(self, rows: slice) -> Batch:
        """Return a part of the batch."""
        return Batch(self.views_B[rows], None if self.dropout is None else self.dropout.rows(rows), self.is_absorbing)


@dataclass(frozen=True)
class StepGradients:
    """The losses of a batch and what they ask of each parameter, in the order of `parameters()`."""

    classification_loss: Tensor
    lora_classification: tuple[Tensor, ...]
    """Gradient of L_ce on the LoRA."""
    absorption_loss: Tensor | None = None
    """None, and the others empty, where absorption is off."""
    lora_absorption: tuple[Tensor, ...] = ()
    """Gradient of L_vtt on the LoRA."""
    fusion_absorption: tuple[Tensor, ...] = ()
    """Gradient of L_vtt on the fusion network."""


GradientsOf = Callable[[Problem, TowerLora, FusionNetwork, FinetuneRecipe, Batch], StepGradients]


def plain_gradients(
    problem: Problem, lora: TowerLora, fusion: FusionNetwork, recipe: FinetuneRecipe, batch: Batch
) -> StepGradients:
    """Return the losses and gradients of a batch.

    Args:
        problem: images, labels and text features.
        lora: low-rank layers of the vision tower.
        fusion: network that only training needs.
        recipe: constants.
        batch: which images, and what is dropped.
    """
    labels_B = problem.labels_V[batch.views_B]
    vision_BLD = problem.backbone.vision_tower.layer_features(problem.views_V3HW[batch.views_B], lora, batch.dropout)
    features_BD = vision_BLD[:, -1]
    loss_ce = classification_loss(class_logits(features_BD, problem.prototypes_CD, recipe.logit_scale), labels_B)
    gradients_ce = torch.autograd.grad(loss_ce, list(lora.parameters()), retain_graph=batch.is_absorbing)
    if not batch.is_absorbing:
        return StepGradients(loss_ce.detach(), gradients_ce)
    fused_BD = fusion(interleave_layers(vision_BLD, problem.text_CLD[labels_B]))
    loss_vtt = absorption_loss(absorb(problem.backbone.text_tower, problem.prompt, fused_BD), features_BD)
    on_lora, on_fusion = list(lora.parameters()), list(fusion.parameters())
    gradients_vtt = torch.autograd.grad(loss_vtt, on_lora + on_fusion)
    of_lora, of_fusion = gradients_vtt[: len(on_lora)], gradients_vtt[len(on_lora) :]
    return StepGradients(loss_ce.detach(), gradients_ce, loss_vtt.detach(), of_lora, of_fusion)
