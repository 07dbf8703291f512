"""Run all methods on the same episodes, and log a line for each result.

An episode depends only on the protocol and its number, so any part of the episodes can be computed anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch

from vtt_core.adapter.strip import LIBRARIES
from vtt_core.backbones.product_choice import choose_products
from vtt_core.bench.episodes.adapter_methods import SharedFinetunings, make_method
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.measures import CALIBRATION_ERROR
from vtt_core.bench.episodes.methods import EpisodeMethod, Prediction
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes, in_parts
from vtt_core.contract.method_spec import MethodSpec
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.heads.calibration import calibration_error

LATER_FIELDS = ("head", "validation_folds", "validation_iterations", "products")
"""Fields of a recipe that older logs do not know: their lines hold for the defaults."""


@dataclass(frozen=True)
class Benchmark:
    """What is measured: methods, data and protocol."""

    bank: ImageBank
    protocol: Protocol
    specs: tuple[MethodSpec, ...]
    num_threads: int
    """Cores to use. Results depend on it by rounding."""
    device: str
    """Kind of device that computes the episodes, `cpu` or `cuda`: the backbone's, unless other machines compute them."""

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """Everything that the numbers depend on besides method and episode, as JSON values."""
        backbone, protocol = self.bank.backbone, asdict(self.protocol)
        del protocol["num_episodes"]  # a longer run starts with the same episodes
        return {
            "backbone": {"id": backbone.backbone_id, "sha256": backbone.weight_sha256},
            "data_sha256": self.bank.sha256,
            "protocol": protocol | {"grouped": self.bank.group_I is not None},
            "device": self.device,
            "threads": self.num_threads,
            "versions": {name: version(name) for name in LIBRARIES},
        }

    def key(self, spec: MethodSpec) -> str:
        """Return the hash of everything that a method's numbers depend on, except the episode."""
        method = spec.name if spec.recipe is None else _named_fields(self._as_computed(spec.recipe))
        canonical = json.dumps([self.conditions, method], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _as_computed(self, recipe: FinetuneRecipe) -> FinetuneRecipe:
        """Return the recipe with float32 for products where this device has nothing faster."""
        chosen = choose_products(recipe.products, torch.device(self.device), self.bank.backbone.dtype)
        return recipe if chosen.dtype is not None else replace(recipe, products="float32")

    def make_method(self, spec: MethodSpec) -> EpisodeMethod:
        """Return the runner of a method."""
        return make_method(spec, self.num_threads, self._shared)

    @cached_property
    def _shared(self) -> SharedFinetunings:
        """Between methods that differ only in their head."""
        return SharedFinetunings(tuple(spec.recipe for spec in self.specs if spec.recipe is not None))

    def episodes(self, numbers: Sequence[int] | None = None) -> Iterator[EpisodeImages]:
        """Yield all episodes, or those with the given numbers."""
        wanted = None if numbers is None else set(numbers)
        for number, episode in enumerate(draw_episodes(self.bank.class_I, self.protocol, self.bank.group_I)):
            if wanted is None or number in wanted:
                yield EpisodeImages(self.bank, episode, number, self.protocol.seed)


def run_episodes(
    benchmark: Benchmark,
    log: EpisodeLog,
    stopwatch: Callable[[], float],
    *,
    numbers: Sequence[int] | None = None,
    together: int = 1,
) -> Iterator[EpisodeLine]:
    """Run every method on every episode that is not in the log yet. Yield each line after it was appended.

    Args:
        benchmark: what to run.
        log: has the earlier results, and receives the new ones.
        stopwatch: returns monotonic seconds.
        numbers: of the episodes; None for all.
        together: number of episodes that a method gets at once.
    """
    methods = [(spec, benchmark.key(spec), benchmark.make_method(spec)) for spec in benchmark.specs]
    device = describe_device(benchmark.bank.backbone.device)
    for part in in_parts(benchmark.episodes(numbers), together):
        for spec, key, method in methods:
            due = [images for images in part if not log.has(key, images.number)]
            if not due:
                continue
            start = stopwatch()
            predictions = method.predict(due)
            seconds = (stopwatch() - start) / len(due)
            for images, prediction in zip(due, predictions, strict=True):
                correct_Q = prediction.predicted_Q == images.episode.query_labels_Q
                accuracy, facts = float(correct_Q.double().mean()), _facts(prediction, images)
                line = EpisodeLine(key, spec.text, images.number, accuracy, seconds, device, facts)
                log.append(line)
                yield line


def _named_fields(recipe: FinetuneRecipe) -> dict[str, Any]:
    """Return the fields of a recipe that a key names: those that came later only if they change something."""
    fields, defaults = recipe.to_json(), FinetuneRecipe().to_json()
    unchanged = {name for name in LATER_FIELDS if fields[name] == defaults[name]}
    if not recipe.validation_folds:
        unchanged.add("validation_iterations")
    return {name: value for name, value in fields.items() if name not in unchanged}


def _facts(prediction: Prediction, images: EpisodeImages) -> dict[str, Any]:
    if prediction.probabilities_QC is None:
        return prediction.facts
    error = calibration_error(prediction.probabilities_QC, images.episode.query_labels_Q)
    return {**prediction.facts, CALIBRATION_ERROR: error}


def describe_device(device: torch.device) -> str:
    """Return the name of a GPU, or `cpu` with its vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"
