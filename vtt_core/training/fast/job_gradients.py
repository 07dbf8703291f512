"""Compute the losses and gradients of some fine-tunings' batches from one run of the vision tower for all of them.

The same numbers as `gradients.plain_gradients`: the losses are the same functions, the vision tower is run by hand
(`backbones/vision_pass.py`), the fusion network with fast scans, the text tower from the placeholder on.

Shapes: B images, C classes, L layers, W vision width, D joint size, K = 2 losses.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.lora_pass import LoraGradients, LoraRows
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import Fusion
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.layers import TowerLora
from vtt_core.training.gradients import StepGradients
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss


@dataclass(frozen=True)
class JobRows:
    """Some rows of one fine-tuning's batch, and what is trained with them."""

    data: TrainingData
    prompt: CachedPrompt
    lora: TowerLora
    fusion: Fusion
    recipe: FinetuneRecipe
    batch: Batch
    share: float = 1.0
    """Share of these rows in their batch."""


GradientsOfJobs = Callable[[Sequence[JobRows]], list[StepGradients]]


def gradients_of_jobs(vision_pass: VisionPass, jobs: Sequence[JobRows]) -> list[StepGradients]:
    """Return what the rows of each fine-tuning add to its losses and gradients, from one run of the tower for all of them.

    Args:
        vision_pass: of the backbone that all of them have.
        jobs: at least one.
    """
    ends = list(accumulate(len(job.batch.views_B) for job in jobs))
    rows = [slice(end - len(job.batch.views_B), end) for job, end in zip(jobs, ends, strict=True)]
    images_B3HW = torch.cat([job.data.views_V3HW[job.batch.views_B] for job in jobs])
    groups = [LoraRows(part, job.lora, job.batch.dropout) for part, job in zip(rows, jobs, strict=True)]
    class_BLW, trace = vision_pass.forward(images_B3HW, groups)
    losses = [_losses(job, class_BLW[part]) for part, job in zip(rows, jobs, strict=True)]
    num_cotangents = max(len(loss.cotangents) for loss in losses)
    nothing = torch.zeros_like(class_BLW)
    stacked_KBLW = torch.stack(
        [
            torch.cat(
                [
                    loss.cotangents[k] if k < len(loss.cotangents) else nothing[part]
                    for loss, part in zip(losses, rows, strict=True)
                ]
            )
            for k in range(num_cotangents)
        ]
    )
    of_loras = vision_pass.backward(trace, stacked_KBLW)
    return [loss.with_lora(gradients) for loss, gradients in zip(losses, of_loras, strict=True)]


@dataclass(frozen=True)
class _Losses:
    """One fine-tuning's losses, and what they ask of the class tokens and the fusion network."""

    classification: Tensor
    absorption: Tensor | None
    cotangents: list[Tensor]
    """Gradient of each loss on the class tokens, (B, L, W)."""
    on_fusion: tuple[Tensor, ...] = ()

    def with_lora(self, of_lora: LoraGradients) -> StepGradients:
        """Return the gradients with those of the LoRA."""
        on_each = list(zip(of_lora.A_KLPRW, of_lora.B_KLPWR, strict=True))
        if self.absorption is None:
            return StepGradients(self.classification, on_each[0])
        return StepGradients(self.classification, on_each[0], self.absorption, on_each[1], self.on_fusion)


def _losses(job: JobRows, class_BLW: Tensor) -> _Losses:
    """Return the losses of a fine-tuning's rows; METHOD.md, steps 2 to 4."""
    data, recipe, batch = job.data, job.recipe, job.batch
    labels_B = data.labels_V[batch.views_B]
    class_BLW = class_BLW.detach().requires_grad_()
    tower = data.backbone.vision_tower
    assert isinstance(tower, ClipVisionTower)  # as its VisionPass
    vision_BLD = tower.project(class_BLW)
    features_BD = vision_BLD[:, -1]
    logits_BC = class_logits(features_BD, data.prototypes_CD, recipe.logit_scale)
    loss_ce = job.share * classification_loss(logits_BC, labels_B)
    (of_ce,) = torch.autograd.grad(loss_ce, class_BLW, retain_graph=batch.is_absorbing)
    if not batch.is_absorbing:
        return _Losses(loss_ce.detach(), None, [of_ce])
    fused_BD = fast_fuse(job.fusion, interleave_layers(vision_BLD, data.text_CLD[labels_B], recipe.sequence))
    if recipe.absorption == "text-tower":
        fused_BD = job.prompt.absorb(fused_BD)
    loss_vtt = job.share * absorption_loss(fused_BD, features_BD)
    of_vtt, *of_fusion = torch.autograd.grad(loss_vtt, [class_BLW, *job.fusion.parameters()])
    return _Losses(loss_ce.detach(), loss_vtt.detach(), [of_ce, of_vtt], tuple(of_fusion))
