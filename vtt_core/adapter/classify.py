"""Classify images with an adapter on its backbone, or with the backbone alone (zero-shot).

Shapes: B images, C classes, D joint size; deep prompts: J blocks, P tokens, W vision width.
Source: METHOD.md, row "classifier at test".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vtt_core.adapter.files import Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.preprocess import preprocess, resize
from vtt_core.backbones.towers import Readout
from vtt_core.heads.features import head_input
from vtt_core.lora.layers import TowerLora
from vtt_core.training.losses import class_logits

Result = TypeVar("Result")
CHUNK_IMAGES = 64
"""Images in one forward pass; bounds memory, whatever the number asked for."""


def image_features(
    backbone: Backbone, images: Iterable[Image.Image], lora: TowerLora | None = None, prompts_JPW: Tensor | None = None
) -> Tensor:
    """Return f_BD of RGB images, not normalised.

    Args:
        backbone: frozen.
        images: of any size; resized and normalised here. Taken one by one, so that an iterator that decodes them holds one at
            its full size.
        lora: low-rank layers of the vision tower, or None for the frozen tower.
        prompts_JPW: tokens that its first blocks read beside an image, or None.
    """
    return read(backbone, images, lora, prompts_JPW).joint_BD


def read(
    backbone: Backbone, images: Iterable[Image.Image], lora: TowerLora | None = None, prompts_JPW: Tensor | None = None
) -> Readout:
    """Return what heads read of RGB images; the arguments are those of `image_features`."""
    read_chunk = partial(backbone.vision_tower.read, lora=lora, prompts_JPW=prompts_JPW)
    levels, joint = zip(*_in_chunks(backbone, images, read_chunk), strict=True)
    return Readout(torch.cat(levels), torch.cat(joint))


def unprojected_features(backbone: Backbone, images: Iterable[Image.Image]) -> Tensor:
    """Return pooled_BW of RGB images: the frozen tower's, before the projection into the joint space."""
    return torch.cat(list(_in_chunks(backbone, images, backbone.vision_tower.unprojected_features)))


def _in_chunks(backbone: Backbone, images: Iterable[Image.Image], run: Callable[[Tensor], Result]) -> Iterator[Result]:
    small = (resize(image, backbone.preprocessing) for image in images)
    while chunk := list(islice(small, CHUNK_IMAGES)):
        pixels = preprocess(chunk, backbone.preprocessing)
        with torch.inference_mode():
            yield run(pixels.to(backbone.device, backbone.dtype))


def read_for(backbone: Backbone, adapter: Adapter, images: Iterable[Image.Image]) -> Readout:
    """Return what an adapter's head reads of RGB images.

    Raises:
        BackboneMismatchError: the adapter belongs to another backbone.
    """
    adapter.check_backbone(backbone)
    lora, prompts_JPW = adapter.lora.to(backbone.device, backbone.dtype), adapter.prompts_JPW
    if prompts_JPW is not None:
        prompts_JPW = prompts_JPW.to(backbone.device, backbone.dtype)
    return read(backbone, images, lora if lora.rank else None, prompts_JPW)


def logits(backbone: Backbone, adapter: Adapter, images: Iterable[Image.Image]) -> Tensor:
    """Return logits_BC of RGB images, without those of a negative class.

    Raises:
        BackboneMismatchError: the adapter belongs to another backbone.
    """
    scores_BC = adapter_scores(adapter, read_for(backbone, adapter, images))
    return scores_BC[:, : len(adapter.manifest.labels)]


def adapter_scores(adapter: Adapter, readout: Readout) -> Tensor:
    """Return the scores of every class on the CPU, those of a negative class last."""
    if adapter.head is None:
        return class_logits(readout.joint_BD.cpu(), adapter.prototypes_CD.cpu(), adapter.logit_scale)
    return adapter.head.scores(head_input(Readout(*(part.cpu().to(adapter.head.weight_CX) for part in readout))))


def classify(backbone: Backbone, adapter: Adapter, images: Iterable[Image.Image]) -> Tensor:
    """Return probabilities_BC of RGB images, classes in the adapter's order; each row sums to 1.

    Raises:
        BackboneMismatchError: the adapter belongs to another backbone.
    """
    return logits(backbone, adapter, images).softmax(dim=-1)


def zero_shot_prototypes(backbone: Backbone, labels: Sequence[str], template: str) -> Tensor:
    """Return prototypes_CD of class labels from the frozen text tower, unit length."""
    tokens_CT = tokenize_classes(backbone.tokenize, labels, template).to(backbone.device)
    with torch.inference_mode():
        return functional.normalize(backbone.text_tower.layer_features(tokens_CT)[:, -1], dim=-1)
