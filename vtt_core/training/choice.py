"""Choose how fine-tunings run: the one place that knows all of the ways.

| way | what can take it | when |
| --- | --- | --- |
| stacked (`fast/stacked.py`) | fresh fine-tunings of a vision LoRA, the same but for images, labels, seed | several on a GPU |
| fast (`fast/passes.py`) | a vision LoRA on CLIP's own vision tower, beside a causal text tower | else, where it can |
| plain (`step.py`) | every host on every backbone | else |

All of them give the same result, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.network import Fusion
from vtt_core.hosts.clip_lora import ClipLora
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import TrainingData
from vtt_core.training.fast.passes import FastGradients
from vtt_core.training.fast.stacked import train_stacked
from vtt_core.training.step import GradientsOf, plain_gradients

if TYPE_CHECKING:
    from vtt_core.training.finetune import Finetune

Round = Sequence[StepReport | None]
"""A report of each fine-tuning, None for one that took no step in this round."""


def choose_gradients(
    data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, num_threads: int | None
) -> GradientsOf:
    """Return what computes the gradients of one fine-tuning's batches; the arguments are those of `FastGradients`."""
    if has_fast_form(data.backbone, host):
        return FastGradients(data, host, fusion, recipe, num_threads)
    return partial(plain_gradients, data, host, fusion, recipe)


def has_fast_form(backbone: Backbone, host: Host) -> bool:
    """Whether a host's step has a fast form."""
    is_known_tower = isinstance(backbone.vision_tower, ClipVisionTower) and backbone.text_tower.is_causal
    return is_known_tower and _trains_vision_alone(host)


def can_stack(finetunes: Sequence[Finetune]) -> bool:
    """Whether fine-tunings can be run as one."""
    first = finetunes[0]
    return _trains_vision_alone(first.state.host) and all(
        finetune.backbone is first.backbone
        and finetune.recipe == first.recipe
        and finetune.step == 0
        and finetune.data.labels_V.shape == first.data.labels_V.shape
        and finetune.data.text_CLD.shape == first.data.text_CLD.shape
        for finetune in finetunes
    )


def train_all(finetunes: Sequence[Finetune]) -> Iterator[Round]:
    """Run all steps of fine-tunings.

    Args:
        finetunes: at least one.
    """
    is_gpu = finetunes[0].backbone.device.type == "cuda"
    if is_gpu and len(finetunes) > 1 and can_stack(finetunes):
        return train_stacked(finetunes)
    return _one_by_one(finetunes)


def _one_by_one(finetunes: Sequence[Finetune]) -> Iterator[Round]:
    for index, finetune in enumerate(finetunes):
        for report in finetune.steps():
            yield [report if number == index else None for number in range(len(finetunes))]


def _trains_vision_alone(host: Host) -> bool:
    return isinstance(host, ClipLora) and host.vision_lora is not None and host.text_lora is None
