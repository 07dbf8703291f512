"""Read the support images for heads: decoded once, encoded by the frozen tower and by towers that were fine-tuned.

Shapes: S support images with the negative ones last, C classes with the negative one last, D joint size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from vtt_core.adapter.classify import read, zero_shot_prototypes
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.decode_small import decode_small
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportImage, SupportSet
from vtt_core.heads.bases import Labelled
from vtt_core.heads.brightness_parts import brightness_parts, part_correlations
from vtt_core.heads.duplicates import copies
from vtt_core.heads.features import features_of
from vtt_core.heads.folds import Fold
from vtt_core.training.finetune import Finetune


@dataclass(frozen=True)
class SupportFeatures:
    """The images of a support set, and what the frozen tower makes of them."""

    support_set: SupportSet
    images: tuple[SupportImage, ...]
    """Of the classes in their order, then of the negative class."""
    small: tuple[Image.Image, ...]
    """The same, decoded, at the backbone's side."""
    frozen: Labelled
    """Their features by the frozen tower, their labels, and the frozen class prompts."""

    @property
    def way(self) -> int:
        """Number of classes without the negative one."""
        return self.support_set.way

    @property
    def has_negative(self) -> bool:
        """Whether there are examples of none of the classes."""
        return bool(self.support_set.negatives)

    @cached_property
    def duplicates(self) -> list[tuple[int, int]]:
        """Pairs of images that are probably one photo."""
        return copies(self.frozen.features.levels_BF, part_correlations([brightness_parts(image) for image in self.small]))

    @property
    def leaks(self) -> list[tuple[int, int]]:
        """Pairs of them that their user has put into different groups."""
        named = [image.group for image in self.images]
        return [
            (one, other)
            for one, other in self.duplicates
            if named[one] is not None and named[other] is not None and named[one] != named[other]
        ]

    def by(self, backbone: Backbone, finetune: Finetune) -> Labelled:
        """Return the same images with their features by a fine-tuned tower, and its class prompts."""
        host = finetune.state.host
        prompts_JPW = host.visual_prompts()
        with torch.no_grad():
            readout = read(backbone, self.small, host.vision_lora, None if prompts_JPW is None else prompts_JPW.detach())
        prototypes_CD = _with_negative(host.prototypes(finetune.data), has_negative=self.has_negative)
        return Labelled(features_of(readout), self.frozen.labels_S, prototypes_CD)

    def without(self, fold: Fold) -> SupportSet:
        """Return the support set without the images that a fold holds out, and without the negative class."""
        kept = set(fold.train.tolist())
        classes, start = [], 0
        for known in self.support_set.classes:
            images = tuple(image for index, image in enumerate(known.images, start) if index in kept)
            classes.append(replace(known, images=images))
            start += known.shot
        return SupportSet(tuple(classes))


def read_support(
    backbone: Backbone,
    support_set: SupportSet,
    recipe: FinetuneRecipe,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int | None = None,
) -> SupportFeatures:
    """Decode the images of a support set and read them with the frozen tower.

    Raises:
        ImageError: an image cannot be decoded.
        PromptError: a class prompt does not fit the text tower.
    """
    images = [image for known in support_set.classes for image in known.images] + list(support_set.negatives)
    labels = [index for index, known in enumerate(support_set.classes) for _ in known.images]
    labels += [support_set.way] * len(support_set.negatives)
    small = decode_small(
        [image.read for image in images],
        backbone.preprocessing,
        limits,
        num_threads,
    )
    prototypes_CD = zero_shot_prototypes(backbone, support_set.labels, recipe.prompt_template)
    frozen = Labelled(
        features_of(read(backbone, small)),
        torch.tensor(labels),
        _with_negative(prototypes_CD, has_negative=bool(support_set.negatives)),
    )
    return SupportFeatures(support_set, tuple(images), tuple(small), frozen)


def _with_negative(prototypes_CD: Tensor, *, has_negative: bool) -> Tensor:
    """Return the prototypes in float64 on the CPU; a negative class, which has no prompt, is like the mean of all classes."""
    prototypes_CD = prototypes_CD.detach().cpu().double()
    return torch.cat((prototypes_CD, prototypes_CD.mean(dim=0, keepdim=True))) if has_negative else prototypes_CD
