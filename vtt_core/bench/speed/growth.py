"""Measure how the cost of training and serving grows: with way, shot, image size, depth, and the number of adapters.

Everything but one quantity stays as in `BASE`: small towers, so that a whole curve takes a minute on a laptop.

Shapes: B images, C classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import backbone_from_files
from vtt_core.bench.speed.interleaved import Spread, time_interleaved
from vtt_core.bench.speed.step_times import step_alternatives, synthetic_data
from vtt_core.bench.speed.stored_adapters import serving_from_disk
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.bench.speed.synthetic_support_set import synthetic_support_set
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import make_served
from vtt_core.training.finetune import make_training_data

BASE = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 48, "patch_size": 8, "width": 128, "layers": 12, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 12},
}
"""Architecture of the bundled backbone."""
WAY, SHOT, BATCH_SIZE = 5, 5, 25
WAYS, SHOTS = (2, 5, 10, 20, 50, 100, 200), (1, 2, 4, 8, 16)
SIDES_PIXELS, DEPTHS = (32, 48, 64, 96, 128), (3, 6, 12, 18, 24)
NUMBERS_OF_ADAPTERS = (1, 2, 4, 8, 16, 32, 100, 300, 1000)
NUMBERS_STORED = (1, 10, 100, 1_000, 10_000)
IMAGES_SERVED = 32


@dataclass(frozen=True)
class Curve:
    """Milliseconds against one quantity, a line for each alternative."""

    title: str
    quantity: str
    x: tuple[int, ...]
    milliseconds: dict[str, list[float]]


def training_and_serving(
    folder: Path, *, repeats: int, num_threads: int, stopwatch: Callable[[], float], num_points: int | None = None
) -> dict[str, Callable[[], Curve]]:
    """Return what measures each curve, by its title.

    Args:
        folder: for the architectures' files, and those of adapters.
        repeats: rounds at each point.
        num_threads: cores to use.
        stopwatch: gives monotonic seconds.
        num_points: of each curve, the smallest ones; None for all.
    """

    def medians(alternatives: dict[str, Callable[[], object]]) -> dict[str, float]:
        times = time_interleaved(alternatives, repeats, stopwatch)
        return {name: 1e3 * Spread.of(values).median for name, values in times.items()}

    base = _backbone(folder, {}, {})

    def of_side(side: int) -> dict[str, float]:
        return medians(_steps(_backbone(folder, {"image_size": side}, {}), WAY, num_threads))

    def of_depth(depth: int) -> dict[str, float]:
        return medians(_steps(_backbone(folder, {"layers": depth}, {"layers": depth}), WAY, num_threads))

    def of_stored(number: int) -> dict[str, float]:
        return medians(serving_from_disk(base, folder / "stored", number, IMAGES_SERVED, stopwatch))

    measured: dict[str, tuple[str, tuple[int, ...], Callable[[int], dict[str, float]]]] = {
        "way": ("classes", WAYS, lambda way: medians(_training(base, way, SHOT, num_threads))),
        "shot": ("images a class", SHOTS, lambda shot: medians(_training(base, WAY, shot, num_threads))),
        "image size": ("side in pixels", SIDES_PIXELS, of_side),
        "depth": ("blocks of each tower", DEPTHS, of_depth),
        "adapters": ("adapters to choose from", NUMBERS_OF_ADAPTERS, lambda number: medians(_serving(base, number))),
        "stored adapters": ("adapters on disk", NUMBERS_STORED, of_stored),
    }
    return {
        title: partial(_curve, title, quantity, x[:num_points], measure) for title, (quantity, x, measure) in measured.items()
    }


def _curve(title: str, quantity: str, x: tuple[int, ...], measure: Callable[[int], dict[str, float]]) -> Curve:
    points = [measure(value) for value in x]
    return Curve(title, quantity, x, {name: [point[name] for point in points] for name in points[0]})


def _backbone(folder: Path, vision: dict[str, int], text: dict[str, int]) -> Backbone:
    config: dict[str, Any] = json.loads(json.dumps(BASE))
    config["vision_cfg"] |= vision
    config["text_cfg"] |= text
    file = folder / "model.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return backbone_from_files("drawn", file, None)


def _steps(backbone: Backbone, way: int, num_threads: int) -> dict[str, Callable[[], object]]:
    recipe = FinetuneRecipe()
    alternatives = step_alternatives(synthetic_data(backbone, recipe, way, BATCH_SIZE), recipe, BATCH_SIZE, num_threads)
    return {name: alternatives[name] for name in ("fast", "floor", "fast_off")}


def _training(backbone: Backbone, way: int, shot: int, num_threads: int) -> dict[str, Callable[[], object]]:
    """Return a step, and what is done once before the first one."""
    support_set = synthetic_support_set(way, shot)
    prepare = {"preparation, once": lambda: make_training_data(backbone, support_set, FinetuneRecipe(), seed=0)}
    return _steps(backbone, way, num_threads) | prepare


def _serving(backbone: Backbone, number: int) -> dict[str, Callable[[], object]]:
    side, source = backbone.preprocessing.side_pixels, Random(0)
    served = [
        make_served(synthetic_adapter(backbone, seed, has_head=True), backbone.device, "float32") for seed in range(number)
    ]
    images_B3HW, reader = torch.randn(IMAGES_SERVED, 3, side, side), MixedReader(backbone)

    def mixed() -> object:
        return reader.answer([BatchItem(image, served[source.randrange(number)]) for image in images_B3HW])

    @torch.inference_mode()
    def bare() -> object:
        return backbone.clip.encode_image(images_B3HW)

    return {f"{IMAGES_SERVED} images, adapters at random": mixed, "bare backbone": bare}
