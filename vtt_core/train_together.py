"""Run several fine-tunings on one backbone side by side: each step is one run of the vision tower for all of them.

A fine-tuning of 25 images a step leaves a large GPU idle between its kernels; several fill it. Each keeps its own LoRA, fusion
network, optimiser, order of batches and dropout, so that its adapter is the one it would have become alone, but for rounding.

Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.contract.errors import BackboneMismatchError
from vtt_core.contract.progress import StepReport
from vtt_core.fast_gradients import gradients_of_jobs, prepare_thread, split_rows
from vtt_core.finetune import Finetune


def train_together(finetunes: Sequence[Finetune], num_threads: int = 1) -> Iterator[list[StepReport | None]]:
    """Run the remaining steps of all fine-tunings, giving after each round a report of each, None for one that had finished.

    Between two rounds, each may be checkpointed.

    Args:
        finetunes: on the same backbone, at any step.
        num_threads: cores to share them out to.

    Raises:
        BackboneMismatchError: they are on different backbones.
    """
    backbone = finetunes[0].backbone
    if any(finetune.backbone is not backbone for finetune in finetunes):
        raise BackboneMismatchError(
            expected="fine-tunings on one backbone",
            got=", ".join(sorted({finetune.backbone.backbone_id for finetune in finetunes})),
            remedy="Load the backbone once and give it to all of them",
        )
    vision_pass = VisionPass(backbone.vision_tower)

    def run(some: Sequence[Finetune]) -> list[StepReport]:
        gradients = gradients_of_jobs(vision_pass, [finetune.next_rows() for finetune in some])
        return [finetune.take(of_one) for finetune, of_one in zip(some, gradients, strict=True)]

    with ThreadPoolExecutor(num_threads, initializer=prepare_thread) as pool:
        while running := [finetune for finetune in finetunes if not finetune.has_finished]:
            shares = [running[part] for part in split_rows(len(running), num_threads)]
            reports = iter([report for share in pool.map(run, shares) for report in share])
            is_running = {id(finetune) for finetune in running}
            yield [next(reports) if id(finetune) in is_running else None for finetune in finetunes]
