"""Measure how serving grows with the number of stored adapters: all of them on disk, some of them in memory.

Requests are for adapters drawn at random, the worst case for a cache: one that has room for a tenth of them is of use for a
tenth of the requests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import torch

from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, adapter_from_files, adapter_to_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.serving.adapter_cache import AdapterCache
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import ServedAdapter, make_served

CACHED = 1_000
"""Adapters that there is room for in memory."""


def serving_from_disk(
    backbone: Backbone, folder: Path, number: int, num_images: int, stopwatch: Callable[[], float]
) -> dict[str, Callable[[], object]]:
    """Return ways to answer a batch of images, each by one of the stored adapters.

    Args:
        backbone: frozen; its weights do not matter.
        folder: for the adapters' files. Those that earlier calls have stored are used again.
        number: adapters that are stored.
        num_images: images of a batch.
        stopwatch: gives monotonic seconds.
    """
    _store(backbone, folder, number)
    side, source = backbone.preprocessing.side_pixels, Random(0)
    images_B3HW, reader = torch.randn(num_images, 3, side, side), MixedReader(backbone)
    one = _load(backbone, folder, 0)
    cache = AdapterCache(CACHED * one.size_bytes, stopwatch)
    order = list(range(number))
    source.shuffle(order)
    for place in order[:CACHED]:  # as after hours of serving
        cache.get(str(place), partial(_load, backbone, folder, place))

    def answer(adapter_of: Callable[[int], ServedAdapter]) -> object:
        return reader.answer([BatchItem(image, adapter_of(source.randrange(number))) for image in images_B3HW])

    return {
        "at random": lambda: answer(lambda place: cache.get(str(place), partial(_load, backbone, folder, place))),
        "none in memory": lambda: answer(partial(_load, backbone, folder)),
        "one, in memory": lambda: answer(lambda _: one),
    }


def _store(backbone: Backbone, folder: Path, number: int) -> None:
    for seed in range(number):
        of_adapter = folder / str(seed)
        if not of_adapter.exists():
            of_adapter.mkdir(parents=True)
            for name, content in adapter_to_files(synthetic_adapter(backbone, seed, has_head=True)).items():
                (of_adapter / name).write_bytes(content)


def _load(backbone: Backbone, folder: Path, place: int) -> ServedAdapter:
    files = {name: (folder / str(place) / name).read_bytes() for name in (MANIFEST_FILE, TENSORS_FILE)}
    adapter = adapter_from_files(files)
    adapter.check_backbone(backbone)
    return make_served(adapter, backbone.device, "float32")
