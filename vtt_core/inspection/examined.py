"""Read the images of a support set once: their facts, and what the frozen backbone makes of them.

Shapes: B images, S support images without negative ones, C classes, D joint size, H = W side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.preprocess import preprocess
from vtt_core.backbones.towers import Readout
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.manifest import Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set_report import ImageToInspect
from vtt_core.heads.bases import Labelled
from vtt_core.heads.features import ImageFeatures, features_of
from vtt_core.ingest.decode import decode_with_format
from vtt_core.inspection.facts import PlainFacts, facts_of

CHUNK_IMAGES = 16
"""Images in memory and in one forward pass at once. Few, so that predictions do not wait long for the threads that decode."""

ReadImage = Callable[[ImageToInspect], tuple[Tensor, PlainFacts]]
ReadAll = Callable[[ReadImage, Sequence[ImageToInspect]], Iterable[tuple[Tensor, PlainFacts]]]
"""Reads several images in order, such as `map`, or that of a pool of threads."""


@dataclass(frozen=True)
class ExaminedImage:
    """One image, read."""

    name: str
    label: int | None
    """Index of its class; None for an image of the negative class."""
    group: str | None
    facts: PlainFacts


@dataclass(frozen=True)
class Examined:
    """A support set, read."""

    labels: tuple[str, ...]
    images: tuple[ExaminedImage, ...]
    features: ImageFeatures
    """Of all images."""
    prototypes_CD: Tensor
    side_pixels: int
    """Side that the backbone reads."""

    @property
    def way(self) -> int:
        """Number of classes C."""
        return len(self.labels)

    @property
    def taught(self) -> list[int]:
        """Indices of the images that have a class."""
        return [index for index, image in enumerate(self.images) if image.label is not None]

    def labels_of(self, indices: Sequence[int]) -> list[int]:
        """Return the classes of images that have one."""
        labels = [self.images[index].label for index in indices]
        return [label for label in labels if label is not None]

    def known(self, indices: Sequence[int]) -> Labelled:
        """Return what a head learns from images that have a class."""
        return Labelled(self.features.take(indices), torch.tensor(self.labels_of(indices)), self.prototypes_CD)

    def shot(self, label: int) -> int:
        """Return the number of images of a class."""
        return sum(image.label == label for image in self.images)


def examine(
    backbone: Backbone,
    labels: Sequence[str],
    images: Sequence[ImageToInspect],
    read_all: ReadAll = map,
    limits: Limits = DEFAULT_LIMITS,
) -> Examined:
    """Read all images, a bounded number of them at once.

    Args:
        backbone: frozen.
        labels: of the classes.
        images: each of one of the classes, or of none.
        read_all: reads several images.
        limits: on images.

    Raises:
        ImageError: an image cannot be used.
    """
    preprocessing, index_of = backbone.preprocessing, {label: index for index, label in enumerate(labels)}

    def read(image: ImageToInspect) -> tuple[Tensor, PlainFacts]:
        return _read(image, preprocessing, limits)

    examined, parts = [], []
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = images[start : start + CHUNK_IMAGES]
        pixels, facts = zip(*read_all(read, chunk), strict=True)
        with torch.inference_mode():
            readout = backbone.vision_tower.read(torch.stack(pixels).to(backbone.device, backbone.dtype))
        parts.append(Readout(*(part.cpu() for part in readout)))
        examined += [
            ExaminedImage(image.name, None if image.label is None else index_of[image.label], image.group, fact)
            for image, fact in zip(chunk, facts, strict=True)
        ]
    features = features_of(Readout(*(torch.cat(part) for part in zip(*parts, strict=True))))
    prototypes_CD = _prototypes(backbone, labels)
    return Examined(tuple(labels), tuple(examined), features, prototypes_CD, preprocessing.side_pixels)


def _read(image: ImageToInspect, preprocessing: Preprocessing, limits: Limits) -> tuple[Tensor, PlainFacts]:
    decoded, image_format = decode_with_format(image.read(), limits)
    return preprocess([decoded], preprocessing)[0], facts_of(decoded, image_format)


def _prototypes(backbone: Backbone, labels: Sequence[str]) -> Tensor:
    tokens = tokenize_classes(backbone.tokenize, labels, FinetuneRecipe().prompt_template)
    with torch.inference_mode():
        text_CLD = backbone.text_tower.layer_features(tokens.to(backbone.device))
    return functional.normalize(text_CLD[:, -1].cpu().double(), dim=-1)
