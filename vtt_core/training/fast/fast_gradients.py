"""Compute the two losses of a batch and their gradients in little more time than the tower's own passes take.

The same numbers as `gradients.plain_gradients`, by `job_gradients.py`. Images do not depend on each other, so on a CPU parts of
the batch run side by side, a thread and a core each: small products leave threads that share one waiting for each other.
A GPU takes the whole batch, as one graph (`cuda_graph.py`).

Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step".
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.network import Fusion
from vtt_core.hosts.clip_lora import trains_vision_alone
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.fast.graph import make_gradients_of_jobs
from vtt_core.training.fast.job_gradients import JobRows
from vtt_core.training.gradients import StepGradients


class FastGradients:
    """Gradients of one data's batches; what is the same for all of them is prepared once."""

    def __init__(self, data: TrainingData, num_threads: int = 1) -> None:
        """Prepare the towers.

        Args:
            data: whose batches will come.
            num_threads: parts of a batch that run side by side.
        """
        self._gradients_of_jobs = make_gradients_of_jobs(data.backbone.vision_tower)
        self.prompt = CachedPrompt(data.backbone.text_tower, data.prompt)
        self._num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads, initializer=prepare_thread)

    def __call__(self, data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch) -> StepGradients:
        """Return the losses and gradients of a batch; the arguments are those of `plain_gradients`."""
        lora, num_images = host.vision_lora, len(batch.views_B)
        assert lora is not None, "see can_go_fast"

        def part(rows: slice) -> StepGradients:
            share = (rows.stop - rows.start) / num_images
            job = JobRows(data, self.prompt, lora, fusion, recipe, batch.rows(rows), share)
            return self._gradients_of_jobs([job])[0]

        parts = list(self._pool.map(part, split_rows(num_images, self._num_threads)))
        return parts[0] if len(parts) == 1 else _sum(parts)


def can_go_fast(backbone: Backbone, host: Host) -> bool:
    """Whether a step of a host has a fast form: a LoRA on CLIP's own vision tower alone, beside a causal text tower."""
    is_known_tower = isinstance(backbone.vision_tower, ClipVisionTower) and backbone.text_tower.is_causal
    return is_known_tower and trains_vision_alone(host)


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
        host_classification=added([part.host_classification for part in parts]),
        absorption_loss=torch.stack(absorbed).sum() if absorbed else None,
        host_absorption=added([part.host_absorption for part in parts]),
        fusion_absorption=added([part.fusion_absorption for part in parts]),
    )
