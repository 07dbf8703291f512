"""Run fine-tunings to their end: stacked where that is faster, else one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vtt_core.contract.progress import StepReport
from vtt_core.training.fast.stacked import can_train_many, is_alike, train_many
from vtt_core.training.finetune import Finetune

Round = Sequence[StepReport | None]
"""A report of each fine-tuning, None for one that took no step in this round."""


def train_all(finetunes: Sequence[Finetune]) -> Iterator[Round]:
    """Run all steps of fresh fine-tunings on one backbone.

    Args:
        finetunes: at least one.
    """
    is_gpu, is_alone = finetunes[0].backbone.device.type == "cuda", len(finetunes) == 1
    if is_gpu and not is_alone and is_alike(finetunes) and can_train_many(finetunes[0]):
        return train_many(finetunes)
    return _one_by_one(finetunes)


def _one_by_one(finetunes: Sequence[Finetune]) -> Iterator[Round]:
    for index, finetune in enumerate(finetunes):
        for report in finetune.steps():
            yield [report if number == index else None for number in range(len(finetunes))]
