"""Compare the time of a batch of images: the bare backbone, one adapter, as many as images, and a thousand to choose from.

Every alternative classifies the same images; throughputs are compared, so a ratio under 1 is what adapters cost.

Shapes: B images, C classes, H = W side in pixels.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, adapter_from_files, adapter_to_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.interleaved import Spread, ratio_of_rounds, time_interleaved
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.contract.serving import Prediction
from vtt_core.serving.adapter_cache import AdapterCache
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import Precision, ServedAdapter, make_served

NUM_COLD = 8
"""Adapters whose loading is timed."""
NUM_CHECKED = 8
"""Images whose answers are compared with merged inference."""


def compare_batches(
    backbone: Backbone,
    *,
    batch_size: int,
    registered: Sequence[int],
    repeats: int,
    precision: Precision,
    stopwatch: Callable[[], float],
) -> dict[str, Any]:
    """Return seconds and throughput ratios of every alternative as JSON values.

    Args:
        backbone: frozen; its weights do not matter.
        batch_size: images in a batch.
        registered: numbers of adapters to choose from at random.
        repeats: rounds.
        precision: of the adapters in memory.
        stopwatch: gives monotonic seconds.
    """
    side = backbone.preprocessing.side_pixels
    drawn_B3HW = torch.randn(batch_size, 3, side, side, generator=torch.Generator().manual_seed(0))
    images = list(drawn_B3HW.to(backbone.device))
    num_adapters = max(batch_size, *registered)
    made = [synthetic_adapter(backbone, seed, has_head=True) for seed in range(num_adapters)]
    served = [make_served(adapter, backbone.device, precision) for adapter in made]
    # A merged tower gives the joint feature alone, which an adapter without a head reads.
    plain = [make_served(synthetic_adapter(backbone, seed), backbone.device, precision) for seed in range(NUM_CHECKED)]
    alternatives = _alternatives(backbone, images, served, registered, stopwatch)
    alternatives["merged"] = lambda: _merged_probabilities(backbone, images, plain[0])
    times = time_interleaved(alternatives, repeats, stopwatch)
    ratios = {
        f"distinct{batch_size}_over_bare": ("bare", "distinct"),
        "one_over_bare": ("bare", "one"),
        f"distinct{batch_size}_over_pass": ("pass", "distinct"),
        "grouped_over_bare": ("bare", "grouped"),
        "merged_over_bare": ("bare", "merged"),
    }
    ratios |= {f"adapters{number}_over_1": ("adapters_1", f"adapters_{number}") for number in registered if number > 1}
    spreads = {
        name: ratio_of_rounds(times[slower], times[faster])
        for name, (slower, faster) in ratios.items()
        if slower in times and faster in times
    }
    items = [BatchItem(image, adapter) for image, adapter in zip(images, plain, strict=False)]
    return {
        **{name: spread.median for name, spread in spreads.items()},
        "ratio_quartiles": {name: [spread.lower, spread.upper] for name, spread in spreads.items()},
        "seconds": {name: asdict(Spread.of(values)) for name, values in times.items()},
        "images_per_second": {name: batch_size / median(values) for name, values in times.items()},
        "largest_difference_to_merged": largest_difference(backbone, items),
        "adapter_bytes": served[0].size_bytes,
    }


def _alternatives(
    backbone: Backbone,
    images: list[Tensor],
    served: list[ServedAdapter],
    registered: Sequence[int],
    stopwatch: Callable[[], float],
) -> dict[str, Callable[[], object]]:
    images_B3HW, reader = torch.stack(images), MixedReader(backbone)
    source = Random(0)

    def mixed(adapters: Sequence[ServedAdapter]) -> list[Prediction]:
        return reader.answer([BatchItem(*pair) for pair in zip(images, adapters, strict=True)])

    def from_store(store: AdapterCache, number: int) -> list[Prediction]:
        chosen = [source.randrange(number) for _ in images]
        return mixed([store.get(str(index), partial(served.__getitem__, index)) for index in chosen])

    @torch.inference_mode()
    def bare(features_of: Callable[[Tensor], Tensor]) -> Tensor:
        return functional.normalize(features_of(images_B3HW).cpu(), dim=-1) @ served[0].rows_OX[:, -backbone.joint_size :].t()

    alternatives: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(backbone.clip.encode_image),
        "pass": lambda: bare(backbone.vision_tower.features),
        "one": lambda: mixed([served[0]] * len(images)),
        "distinct": lambda: mixed(served[: len(images)]),
        "grouped": lambda: [reader.answer([BatchItem(*pair)]) for pair in zip(images, served, strict=False)],
    }
    for number in registered:
        store = AdapterCache(sum(adapter.size_bytes for adapter in served), stopwatch)
        for index in range(number):
            store.get(str(index), partial(served.__getitem__, index))
        alternatives[f"adapters_{number}"] = partial(from_store, store, number)
    return alternatives


def largest_difference(backbone: Backbone, items: Sequence[BatchItem]) -> float:
    """Return how far a mixed batch's probabilities are from merged inference, one image at a time."""
    differences: list[float] = []
    for item, mixed in zip(items, MixedReader(backbone).answer(items), strict=True):
        merged_C = _merged_probabilities(backbone, [item.pixels_3HW], item.adapter)[0].tolist()
        by_label = zip(item.adapter.answering.labels, merged_C, strict=True)
        differences += [abs(mixed.probabilities[label] - merged) for label, merged in by_label]
    return max(differences)


@torch.inference_mode()
def _merged_probabilities(backbone: Backbone, images: Sequence[Tensor], adapter: ServedAdapter) -> Tensor:
    """Return probabilities_BC of a copy of the tower whose weights have taken the LoRA up."""
    visual = copy.copy(backbone.clip.visual)
    merged = _with_merged_attention(visual, adapter)
    features_BD = functional.normalize(merged(torch.stack(list(images))).cpu(), dim=-1)
    return (features_BD @ adapter.rows_OX.t()).softmax(dim=-1)


def _with_merged_attention(visual: Any, adapter: ServedAdapter) -> Callable[[Tensor], Tensor]:
    names = [f"transformer.resblocks.{index}.attn.in_proj_weight" for index in range(len(adapter.A_LPRW))]
    weights = dict(visual.named_parameters())
    dtype = weights[names[0]].dtype
    merged = {
        name: weights[name] + (B_PWR.to(dtype) @ A_PRW.to(dtype)).flatten(0, 1)
        for name, A_PRW, B_PWR in zip(names, adapter.A_LPRW, adapter.B_LPWR, strict=True)
    }
    return lambda images_B3HW: torch.func.functional_call(visual, merged, (images_B3HW,))


def time_cold_loads(
    backbone: Backbone, folder: Path, *, precision: Precision, repeats: int, stopwatch: Callable[[], float]
) -> dict[str, Any]:
    """Return how long a cold adapter takes to load, and how much it delays others.

    Args:
        backbone: frozen.
        folder: for the adapters' files.
        precision: of the adapters in memory.
        repeats: rounds, each with and without loads beside it.
        stopwatch: gives monotonic seconds.
    """
    for seed in range(NUM_COLD):
        for name, content in adapter_to_files(synthetic_adapter(backbone, seed)).items():
            (folder / f"{seed}-{name}").write_bytes(content)

    def load(seed: int) -> ServedAdapter:
        files = {name: (folder / f"{seed}-{name}").read_bytes() for name in (MANIFEST_FILE, TENSORS_FILE)}
        adapter = adapter_from_files(files)
        adapter.check_backbone(backbone)
        return make_served(adapter, backbone.device, precision)

    side = backbone.preprocessing.side_pixels
    warm = BatchItem(torch.zeros(3, side, side, device=backbone.device), load(0))
    cold_seconds, reader = [], MixedReader(backbone)
    for seed in range(NUM_COLD):
        start = stopwatch()
        load(seed)
        cold_seconds.append(stopwatch() - start)
    times = time_interleaved(
        {
            "alone": lambda: reader.answer([warm]),
            "beside": lambda: _beside(lambda: load(1), lambda: reader.answer([warm])),
        },
        repeats * 3,
        stopwatch,
    )
    return {
        "cold_load_ms": 1e3 * median(cold_seconds),
        "warm_beside_cold_over_alone": ratio_of_rounds(times["beside"], times["alone"]).median,
    }


def _beside(other: Callable[[], object], call: Callable[[], object]) -> None:
    """Make a call while another one runs in a thread."""
    thread = threading.Thread(target=other)
    thread.start()
    call()
    thread.join()
