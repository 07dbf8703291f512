"""The support set and queries of a baseline, with the frozen features that several baselines need.

Shapes: B images, V views of the support images, S support images, Q queries, C classes, L layers, D joint size, W tower width.
Source: docs/baselines.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vtt_core.adapter.classify import CHUNK_IMAGES
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.losses import class_logits

LOGIT_SCALE = FinetuneRecipe.logit_scale
"""Factor on every baseline's image-text cosine: the same as for the fine-tuning that they are compared with."""


@dataclass(frozen=True)
class FewShotTask:
    """One support set and its queries, all on the backbone's device."""

    backbone: Backbone
    views_V3HW: Tensor
    """All views of all support images in the order (view, image). The first `num_images` are the plain ones."""
    labels_V: Tensor
    """Class index of every view."""
    num_images: int
    """Number of support images."""
    prototypes_CD: Tensor
    """Unit text feature of every class."""
    queries_Q3HW: Tensor
    """Preprocessed images to classify."""

    def __post_init__(self) -> None:
        """Check the order of the views."""
        assert len(self.views_V3HW) == len(self.labels_V)
        assert len(self.labels_V) % self.num_images == 0
        labels_S = self.labels_V[: self.num_images]
        assert torch.equal(self.labels_V, labels_S.repeat(self.num_views))

    @property
    def num_views(self) -> int:
        """Views of one support image."""
        return len(self.labels_V) // self.num_images

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.prototypes_CD)

    @property
    def labels_S(self) -> Tensor:
        """Class index of every support image."""
        return self.labels_V[: self.num_images]

    @property
    def plain_S3HW(self) -> Tensor:
        """The plain view of every support image."""
        return self.views_V3HW[: self.num_images]

    @cached_property
    def view_layers_VLD(self) -> Tensor:
        """Frozen layer features of the views, not normalised."""
        return in_chunks(self.backbone.vision_tower.layer_features, self.views_V3HW)

    @cached_property
    def query_layers_QLD(self) -> Tensor:
        """Frozen layer features of the queries, not normalised."""
        return in_chunks(self.backbone.vision_tower.layer_features, self.queries_Q3HW)

    @property
    def view_features_VD(self) -> Tensor:
        """Frozen image features of the views, not normalised."""
        return self.view_layers_VLD[:, -1]

    @property
    def query_features_QD(self) -> Tensor:
        """Frozen image features of the queries, not normalised."""
        return self.query_layers_QLD[:, -1]

    @cached_property
    def plain_unprojected_SW(self) -> Tensor:
        """Frozen features of the plain views before the projection into the joint space."""
        return in_chunks(self.backbone.vision_tower.unprojected_features, self.plain_S3HW)

    @cached_property
    def query_unprojected_QW(self) -> Tensor:
        """Frozen features of the queries before the projection into the joint space."""
        return in_chunks(self.backbone.vision_tower.unprojected_features, self.queries_Q3HW)

    def zero_shot_logits(self, features_BD: Tensor) -> Tensor:
        """Return logits_BC of image features, from the class prompts only."""
        return class_logits(features_BD, self.prototypes_CD, LOGIT_SCALE)


@torch.no_grad()
def in_chunks(features_of: Callable[[Tensor], Tensor], images_B3HW: Tensor) -> Tensor:
    """Return the features of all images, without gradient. Memory does not grow with their number."""
    return torch.cat([features_of(chunk) for chunk in images_B3HW.split(CHUNK_IMAGES)])
