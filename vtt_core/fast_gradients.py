"""Compute the two losses of a batch and their gradients in little more time than the tower's own passes take.

The same numbers as `gradients.plain_gradients`: the losses are the same functions, the vision tower is run by hand
(`backbones/vision_pass.py`), the fusion network with compiled scans, the text tower from the placeholder on. Images do not
depend on each other, so parts of the batch run side by side, a thread and a core each: small products leave threads
that share one waiting for each other.

Shapes: B images, C classes, L layers, W vision width, D joint size, K = 2 losses.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.backbones.vision_pass import LoraGradients, LoraRows, VisionPass
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import FusionNetwork
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.gradients import Batch, Problem, StepGradients
from vtt_core.lora.layers import TowerLora
from vtt_core.losses import absorption_loss, class_logits, classification_loss


@dataclass(frozen=True)
class JobRows:
    """Some rows of one fine-tuning's batch, and what is trained with them."""

    problem: Problem
    prompt: CachedPrompt
    lora: TowerLora
    fusion: FusionNetwork
    recipe: FinetuneRecipe
    batch: Batch
    share: float = 1.0
    """Share of these rows in their batch."""


class FastGradients:
    """Gradients of one problem's batches; what is the same for all of them is prepared once."""

    def __init__(self, problem: Problem, num_threads: int = 1) -> None:
        """Prepare the towers.

        Args:
            problem: whose batches will come.
            num_threads: parts of a batch that run side by side.
        """
        self._pass = VisionPass(problem.backbone.vision_tower)
        self.prompt = CachedPrompt(problem.backbone.text_tower, problem.prompt)
        self._num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads, initializer=prepare_thread)

    def __call__(
        self, problem: Problem, lora: TowerLora, fusion: FusionNetwork, recipe: FinetuneRecipe, batch: Batch
    ) -> StepGradients:
        """Return the losses and gradients of a batch; the arguments are those of `plain_gradients`."""
        num_images = len(batch.views_B)

        def part(rows: slice) -> StepGradients:
            share = (rows.stop - rows.start) / num_images
            job = JobRows(problem, self.prompt, lora, fusion, recipe, batch.rows(rows), share)
            return gradients_of_jobs(self._pass, [job])[0]

        parts = list(self._pool.map(part, split_rows(num_images, self._num_threads)))
        return parts[0] if len(parts) == 1 else _sum(parts)


def gradients_of_jobs(vision_pass: VisionPass, jobs: Sequence[JobRows]) -> list[StepGradients]:
    """Return what the rows of each fine-tuning add to its losses and gradients, from one run of the tower for all of them.

    Args:
        vision_pass: of the backbone that all of them have.
        jobs: at least one.
    """
    ends = list(accumulate(len(job.batch.views_B) for job in jobs))
    rows = [slice(end - len(job.batch.views_B), end) for job, end in zip(jobs, ends, strict=True)]
    images_B3HW = torch.cat([job.problem.views_V3HW[job.batch.views_B] for job in jobs])
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
    problem, recipe, batch = job.problem, job.recipe, job.batch
    labels_B = problem.labels_V[batch.views_B]
    class_BLW = class_BLW.detach().requires_grad_()
    vision_BLD = problem.backbone.vision_tower.project(class_BLW)
    features_BD = vision_BLD[:, -1]
    logits_BC = class_logits(features_BD, problem.prototypes_CD, recipe.logit_scale)
    loss_ce = job.share * classification_loss(logits_BC, labels_B)
    (of_ce,) = torch.autograd.grad(loss_ce, class_BLW, retain_graph=batch.is_absorbing)
    if not batch.is_absorbing:
        return _Losses(loss_ce.detach(), None, [of_ce])
    fused_BD = fast_fuse(job.fusion, interleave_layers(vision_BLD, problem.text_CLD[labels_B]))
    loss_vtt = job.share * absorption_loss(job.prompt.absorb(fused_BD), features_BD)
    of_vtt, *of_fusion = torch.autograd.grad(loss_vtt, [class_BLW, *job.fusion.parameters()])
    return _Losses(loss_ce.detach(), loss_vtt.detach(), [of_ce, of_vtt], tuple(of_fusion))


def split_rows(num_rows: int, num_parts: int) -> list[slice]:
    """Return at most so many parts of about the same size, none of them empty."""
    bounds = [num_rows * index // num_parts for index in range(num_parts + 1)]
    return [slice(first, end) for first, end in zip(bounds, bounds[1:], strict=False) if end > first]


def prepare_thread() -> None:
    """Make a thread one of several that each compute a part of a batch."""
    torch.set_num_threads(1)
    # A scan's gradient decays to numbers so small that a processor takes twice the time for them; they become zero.
    torch.set_flush_denormal(True)


def _sum(parts: list[StepGradients]) -> StepGradients:
    """Return the gradients of a batch from those of its parts."""

    def added(tensors: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        return tuple(torch.stack(of_one).sum(dim=0) for of_one in zip(*tensors, strict=True))

    absorbed = [part.absorption_loss for part in parts if part.absorption_loss is not None]
    return StepGradients(
        classification_loss=torch.stack([part.classification_loss for part in parts]).sum(),
        lora_classification=added([part.lora_classification for part in parts]),
        absorption_loss=torch.stack(absorbed).sum() if absorbed else None,
        lora_absorption=added([part.lora_absorption for part in parts]),
        fusion_absorption=added([part.fusion_absorption for part in parts]),
    )
