"""Run fine-tunings to their end in the way that suits them and the device.

| | a GPU | a CPU |
| --- | --- | --- |
| a LoRA on vision, one shape | stacked, `train_many.py` | in common passes, `train_together.py` |
| a LoRA on vision, several shapes | in common passes | in common passes |
| any other host, or a backbone without a fast form | one by one | one by one |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vtt_core.contract.progress import StepReport
from vtt_core.training.fast.stacked import can_train_many, is_alike, train_many
from vtt_core.training.fast.train_together import train_together
from vtt_core.training.finetune import Finetune

Round = Sequence[StepReport | None]
"""A report of each fine-tuning, None for one that took no step in this round."""


def train_all(finetunes: Sequence[Finetune], num_threads: int = 1) -> Iterator[Round]:
    """Run all steps of fresh fine-tunings on one backbone.

    Args:
        finetunes: at least one.
        num_threads: cores to share them out to.
    """
    is_gpu, is_alone = finetunes[0].backbone.device.type == "cuda", len(finetunes) == 1
    if is_gpu and not is_alone and is_alike(finetunes) and can_train_many(finetunes[0]):
        return train_many(finetunes)
    if not is_alone and all(finetune.can_share_steps for finetune in finetunes):
        return train_together(finetunes, num_threads)
    return _one_by_one(finetunes)


def _one_by_one(finetunes: Sequence[Finetune]) -> Iterator[Round]:
    for index, finetune in enumerate(finetunes):
        for report in finetune.steps():
            yield [report if number == index else None for number in range(len(finetunes))]
