"""Compute the two losses of a batch and their gradients: the plain reference, one call of autograd a loss.

`fast_gradients.py` gives the same numbers in less time.

Shapes: B images, C classes, L layers, D joint size, V views.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, steps 1 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import absorb
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.network import Fusion
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss


@dataclass(frozen=True)
class StepGradients:
    """The losses of a batch and what they ask of each parameter, in the order of `parameters()`."""

    classification_loss: Tensor
    host_classification: tuple[Tensor, ...]
    """Gradient of L_ce on the host."""
    absorption_loss: Tensor | None = None
    """None, and the others empty, where absorption is off."""
    host_absorption: tuple[Tensor, ...] = ()
    """Gradient of L_vtt on the host."""
    fusion_absorption: tuple[Tensor, ...] = ()
    """Gradient of L_vtt on the fusion network."""


GradientsOf = Callable[[TrainingData, Host, Fusion, FinetuneRecipe, Batch], StepGradients]


def plain_gradients(data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch) -> StepGradients:
    """Return the losses and gradients of a batch.

    Args:
        data: images, labels and text features.
        host: what is fine-tuned.
        fusion: network that only training needs.
        recipe: constants.
        batch: which images, and what is dropped.
    """
    on_host, on_fusion = list(host.parameters()), list(fusion.parameters())
    loss_ce, loss_vtt = batch_losses(data, host, fusion, recipe, batch)
    gradients_ce = torch.autograd.grad(loss_ce, on_host, retain_graph=loss_vtt is not None, allow_unused=True)
    of_ce = _with_zeros(gradients_ce, on_host)
    if loss_vtt is None:
        return StepGradients(loss_ce.detach(), of_ce)
    gradients_vtt = torch.autograd.grad(loss_vtt, on_host + on_fusion, allow_unused=True)
    of_vtt = _with_zeros(gradients_vtt, on_host + on_fusion)
    return StepGradients(loss_ce.detach(), of_ce, loss_vtt.detach(), of_vtt[: len(on_host)], of_vtt[len(on_host) :])


def batch_losses(
    data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch
) -> tuple[Tensor, Tensor | None]:
    """Return L_ce, and L_vtt where it is wanted; the arguments are those of `plain_gradients`."""
    labels_B = data.labels_V[batch.views_B]
    vision_BLD, text_CLD = host.vision_layers(data, batch), host.text_layers(data, batch)
    features_BD, prototypes_CD = vision_BLD[:, -1], functional.normalize(text_CLD[:, -1], dim=-1)
    loss_ce = classification_loss(class_logits(features_BD, prototypes_CD, recipe.logit_scale), labels_B)
    if not batch.is_absorbing:
        return loss_ce, None
    fused_BD = fusion(interleave_layers(vision_BLD, text_CLD[labels_B], recipe.sequence))
    if recipe.absorption == "text-tower":
        fused_BD = absorb(data.backbone.text_tower, data.prompt, fused_BD)
    return loss_ce, absorption_loss(fused_BD, features_BD)


def _with_zeros(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Put zeros where a loss does not reach a tensor: of a text tower's last block, say, what only other positions read."""
    pairs = zip(gradients, parameters, strict=True)
    return tuple(torch.zeros_like(parameter) if gradient is None else gradient for gradient, parameter in pairs)
