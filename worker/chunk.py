"""Predict the images of one chunk of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from app.domain.batches import answered_row, refused_row
from app.infra.batch_blobs import SentImage
from app.infra.prediction_repository import KeptPrediction
from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.serving import AnswerOptions
from vtt_core.ingest.decode import decode_image
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import ServedAdapter


@dataclass(frozen=True)
class ChunkModel:
    """What predicts a chunk."""

    reader: MixedReader
    adapter: ServedAdapter
    options: AnswerOptions
    bands: BandChoice | None
    """How its images of many bands are shown."""
    limits: Limits
    max_images: int
    """Images that go through the tower together."""
    num_threads: int
    """Threads that each decode some images and read them by the tower, one core each."""


def predict_chunk(model: ChunkModel, images: Sequence[SentImage], check: Callable[[], None]) -> list[dict[str, Any]]:
    """Return the result of each image, in their order.

    Args:
        model: what predicts.
        images: as they were sent.
        check: called before each pass of the tower, in any thread; it raises if there is no point in going on.
    """
    is_cpu = model.reader.backbone.device.type == "cpu"
    size = (min(model.max_images, -(-len(images) // model.num_threads)) or 1) if is_cpu else model.max_images
    passes = [images[start : start + size] for start in range(0, len(images), size)]
    turn = nullcontext() if is_cpu else Lock()  # a GPU reads one pass at a time, while others are decoded

    def predict(sent: Sequence[SentImage]) -> list[dict[str, Any]]:
        check()
        decoded = [_read(model, image) for image in sent]
        with turn:
            return _answered(model, sent, decoded)

    with ThreadPoolExecutor(model.num_threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        return [result for results in pool.map(predict, passes) for result in results]


def _answered(
    model: ChunkModel, images: Sequence[SentImage], decoded: Sequence[Tensor | dict[str, Any]]
) -> list[dict[str, Any]]:
    items = [BatchItem(pixels, model.adapter) for pixels in decoded if isinstance(pixels, Tensor)]
    answers = iter(model.reader.answer(items, model.options) if items else [])
    return [
        answered_row(image.file, next(answers)) if isinstance(pixels, Tensor) else pixels
        for image, pixels in zip(images, decoded, strict=True)
    ]


def _read(model: ChunkModel, image: SentImage) -> Tensor | dict[str, Any]:
    """Return the pixels of an image, or the result of one that cannot be used."""
    if image.content is None:
        assert image.refusal is not None
        return image.refusal
    backbone = model.reader.backbone
    try:
        pixels_3HW = preprocess([decode_image(image.content, model.limits, model.bands)], backbone.preprocessing)[0]
    except VttError as error:
        return refused_row(image.file, error)
    return pixels_3HW.to(backbone.device, backbone.dtype)


def to_keep(images: Sequence[SentImage], results: Sequence[dict[str, Any]]) -> list[KeptPrediction]:
    """Return what is kept of the predictions where VTT_PREDICTION_RETENTION_DAYS asks for it."""
    return [
        KeptPrediction(hashlib.sha256(image.content).hexdigest(), result["label"], result["probabilities"][result["label"]])
        for image, result in zip(images, results, strict=True)
        if image.content is not None and "label" in result
    ]
