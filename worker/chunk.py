"""Predict the images of one chunk of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from app.domain.batches import answered_row, refused_row
from app.infra.batch_blobs import SentImage
from app.infra.prediction_repository import KeptPrediction
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.serving import AnswerOptions
from vtt_core.ingest.decode import decode_image
from vtt_core.serving.engine import BatchItem, answer_mixed
from vtt_core.serving.served import ServedAdapter


@dataclass(frozen=True)
class ChunkModel:
    """What predicts a chunk."""

    backbone: Backbone
    adapter: ServedAdapter
    options: AnswerOptions
    bands: BandChoice | None
    """How its images of many bands are shown."""
    limits: Limits
    max_images: int
    """Images that go through the tower together."""


def predict_chunk(model: ChunkModel, images: Sequence[SentImage], check: Callable[[], None]) -> list[dict[str, Any]]:
    """Return the result of each image, in their order.

    Args:
        model: what predicts.
        images: as they were sent.
        check: called before each pass of the tower; it raises if there is no point in going on.
    """
    results: list[dict[str, Any]] = []
    for start in range(0, len(images), model.max_images):
        check()
        results += _predict_some(model, images[start : start + model.max_images])
    return results


def _predict_some(model: ChunkModel, images: Sequence[SentImage]) -> list[dict[str, Any]]:
    read = [_read(model, image) for image in images]
    items = [BatchItem(pixels, model.adapter) for pixels in read if isinstance(pixels, Tensor)]
    answers = iter(answer_mixed(model.backbone, items, model.options) if items else [])
    return [
        answered_row(image.file, next(answers)) if isinstance(pixels, Tensor) else pixels
        for image, pixels in zip(images, read, strict=True)
    ]


def _read(model: ChunkModel, image: SentImage) -> Tensor | dict[str, Any]:
    """Return the pixels of an image, or the result of one that cannot be used."""
    if image.content is None:
        assert image.refusal is not None
        return image.refusal
    try:
        pixels_3HW = preprocess([decode_image(image.content, model.limits, model.bands)], model.backbone.preprocessing)[0]
    except VttError as error:
        return refused_row(image.file, error)
    return pixels_3HW.to(model.backbone.device, model.backbone.dtype)


def to_keep(images: Sequence[SentImage], results: Sequence[dict[str, Any]]) -> list[KeptPrediction]:
    """Return what is kept of the predictions where VTT_PREDICTION_RETENTION_DAYS asks for it."""
    return [
        KeptPrediction(hashlib.sha256(image.content).hexdigest(), result["label"], result["probabilities"][result["label"]])
        for image, result in zip(images, results, strict=True)
        if image.content is not None and "label" in result
    ]
