"""Compare the time of whole fine-tunings, from encoded images to the last step: one by one, and stacked.

Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.interleaved import Spread, ratio_of_rounds, time_interleaved
from vtt_core.bench.speed.synthetic_support_set import synthetic_support_set
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.fast.stacked import train_stacked
from vtt_core.training.finetune import Finetune

SECONDS_AN_HOUR = 3600


def compare_jobs(
    backbone: Backbone,
    *,
    num_jobs: int,
    iterations: int,
    way: int,
    shot: int,
    repeats: int,
    num_threads: int,
    stopwatch: Callable[[], float],
) -> dict[str, Any]:
    """Return seconds, jobs an hour, their ratio and the largest difference of the LoRAs as JSON values.

    Args:
        backbone: frozen; its weights do not matter.
        num_jobs: fine-tunings, with a seed of their own each.
        iterations: of each.
        way: number of classes.
        shot: images a class.
        repeats: rounds.
        num_threads: cores to use.
        stopwatch: gives monotonic seconds.
    """
    recipe = replace(FinetuneRecipe(), iterations=iterations)
    support_set = synthetic_support_set(way, shot)
    learnt: dict[str, list[Tensor]] = {}

    def start(seed: int) -> Finetune:
        return Finetune(backbone, support_set, recipe, seed, num_threads=num_threads)

    def run_alone(finetune: Finetune) -> Tensor:
        for _ in finetune.steps():
            pass
        return finetune.state.lora.lora_A.detach()

    def one_by_one() -> None:
        learnt["alone"] = [run_alone(start(seed)) for seed in range(num_jobs)]

    def stacked() -> None:
        finetunes = [start(seed) for seed in range(num_jobs)]
        for _ in train_stacked(finetunes):
            pass
        learnt["stacked"] = [finetune.state.lora.lora_A.detach() for finetune in finetunes]

    times = time_interleaved({"one_by_one": one_by_one, "stacked": stacked}, repeats, stopwatch)
    ratio = ratio_of_rounds(times["one_by_one"], times["stacked"])
    differences = [(one - other).abs().max().item() for one, other in zip(learnt["alone"], learnt["stacked"], strict=True)]
    return {
        "stacked_over_one_by_one": ratio.median,
        "ratio_quartiles": {"stacked_over_one_by_one": [ratio.lower, ratio.upper]},
        "seconds": {name: asdict(Spread.of(values)) for name, values in times.items()},
        "jobs_per_hour": {name: SECONDS_AN_HOUR * num_jobs / median(values) for name, values in times.items()},
        "seconds_per_job_alone": median(times["one_by_one"]) / num_jobs,
        "largest_difference": max(differences),
    }
