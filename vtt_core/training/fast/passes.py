"""Compute the losses and gradients of a batch in little more time than the vision tower's own passes take.

The same numbers as `step.plain_gradients`, by the same losses. Three things are faster: the vision tower runs forward once and
back once for both losses, the fusion network scans all directions at once, and the absorption prompt's start is cached.

Images do not depend on each other, so on a CPU parts of the batch run side by side, each with a thread and a core of its own:
several threads that share small products wait for each other. A GPU takes the whole batch, as one graph (`graph.py`).

Shapes: B images, L layers, D joint size.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.backbones.product_choice import choose_products
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import Fusion
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.fast.graph import ReplayedGradients
from vtt_core.training.fast.vision import Backward, run_of
from vtt_core.training.step import StepGradients, compute_loss_ce, compute_loss_vtt


class PassGradients:
    """Losses and gradients of one fine-tuning's batches, or of parts of them, in the calling thread."""

    def __init__(self, data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe) -> None:
        """Prepare what all batches share; the arguments are those of `plain_gradients`."""
        assert host.vision_lora is not None, "only a LoRA of the vision tower has a fast form"
        self._data, self._lora, self._fusion, self._recipe = data, host.vision_lora, fusion, recipe
        backbone = data.backbone
        products = choose_products(recipe.products, backbone.device, backbone.dtype)
        self._run_vision = run_of(backbone.vision_tower, products.dtype)
        self._prompt = CachedPrompt(backbone.text_tower, data.prompt)

    def __call__(self, batch: Batch, share: float = 1.0) -> StepGradients:
        """Return what these images add to the losses and gradients.

        Args:
            batch: the images.
            share: of these images in their whole batch.
        """
        data, recipe = self._data, self._recipe
        labels_B = data.labels_V[batch.views_B]
        vision_BLD, backward = self._run_vision(data.views_V3HW[batch.views_B], self._lora, batch.dropout)
        loss_ce = share * compute_loss_ce(vision_BLD, data.text_CLD, labels_B, recipe)
        loss_vtt = None
        if batch.is_absorbing:
            fuse = partial(fast_fuse, self._fusion)
            text_BLD = data.text_CLD[labels_B]
            loss_vtt = share * compute_loss_vtt(vision_BLD, text_BLD, recipe, fuse, self._prompt.absorb)
        return gradients_through(vision_BLD, backward, loss_ce, loss_vtt, list(self._fusion.parameters()))


def gradients_through(
    vision_BLD: Tensor, backward: Backward, loss_ce: Tensor, loss_vtt: Tensor | None, on_fusion: Sequence[Tensor]
) -> StepGradients:
    """Return the gradients of losses of the vision tower's features.

    Args:
        vision_BLD: what the tower gave.
        backward: the way back through it.
        loss_ce: of one fine-tuning, or of each of many.
        loss_vtt: likewise, or None where absorption is off.
        on_fusion: parameters of the fusion network.
    """
    (of_ce,) = torch.autograd.grad(loss_ce.sum(), vision_BLD, retain_graph=loss_vtt is not None)
    if loss_vtt is None:
        (on_host,) = backward([of_ce])
        return StepGradients(loss_ce.detach(), on_host)
    of_vtt, *of_fusion = torch.autograd.grad(loss_vtt.sum(), [vision_BLD, *on_fusion])
    host_ce, host_vtt = backward([of_ce, of_vtt])
    return StepGradients(loss_ce.detach(), host_ce, loss_vtt.detach(), host_vtt, of_fusion)


class FastGradients:
    """Losses and gradients of one fine-tuning's batches, by parts side by side on a CPU and by a graph on a GPU."""

    def __init__(
        self, data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, num_threads: int | None = 1
    ) -> None:
        """Prepare what all batches share.

        Args:
            data: images, labels and text features.
            host: a LoRA of the vision tower.
            fusion: network that only training needs.
            recipe: constants.
            num_threads: parts of a batch that run side by side on a CPU, None for as many as torch has threads.
        """
        run, is_cpu = PassGradients(data, host, fusion, recipe), data.backbone.device.type == "cpu"
        self._run = ReplayedGradients(run) if data.backbone.device.type == "cuda" else run
        self._num_parts = (num_threads or torch.get_num_threads()) if is_cpu else 1
        self._pool = ThreadPoolExecutor(self._num_parts, initializer=prepare_thread)

    def __call__(self, batch: Batch) -> StepGradients:
        """Return the losses and gradients of a batch."""
        num_images = len(batch.views_B)

        def of_part(rows: slice) -> StepGradients:
            return self._run(batch.rows(rows), (rows.stop - rows.start) / num_images)

        parts = list(self._pool.map(of_part, split_rows(num_images, self._num_parts)))
        return parts[0] if len(parts) == 1 else _sum(parts)


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

    def added(tensors: list[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        return tuple(torch.stack(of_one).sum(dim=0) for of_one in zip(*tensors, strict=True))

    absorbed = [part.absorption_loss for part in parts if part.absorption_loss is not None]
    return StepGradients(
        classification_loss=torch.stack([part.classification_loss for part in parts]).sum(),
        host_classification=added([part.host_classification for part in parts]),
        absorption_loss=torch.stack(absorbed).sum() if absorbed else None,
        host_absorption=added([part.host_absorption for part in parts]),
        fusion_absorption=added([part.fusion_absorption for part in parts]),
    )
