"""The images of an episode: its support set as a user would send it, with its features, and the inputs of the baselines.

Shapes: V views of the support images, S support images, Q queries, C classes, L layers, D joint size, W tower width.
Source: docs/datasets.md, "Protocol"; docs/baselines.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vtt_core.adapter.classify import zero_shot_prototypes
from vtt_core.adapter.support_features import SupportFeatures
from vtt_core.backbones.preprocess import resize
from vtt_core.bench.baselines.few_shot_task import FewShotTask, in_chunks
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.sampling import Episode
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.heads.bases import Labelled
from vtt_core.heads.features import features_of
from vtt_core.training.seeding import derived_seed
from vtt_core.training.views import Views, stack_views


@dataclass(frozen=True)
class EpisodeImages:
    """One episode with its images."""

    bank: ImageBank
    episode: Episode
    number: int
    protocol_seed: int

    @property
    def seed(self) -> int:
        """Seed for all methods. It does not depend on where the episode is computed."""
        return derived_seed(self.protocol_seed, "episode", self.number)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the episode's labels."""
        return tuple(self.bank.labels[index] for index in self.episode.classes)

    @property
    def support(self) -> list[int]:
        """Indices of the support images."""
        indices: list[int] = self.episode.support_S.tolist()
        return indices

    @property
    def query(self) -> list[int]:
        """Indices of the query images."""
        indices: list[int] = self.episode.query_Q.tolist()
        return indices

    @property
    def prototypes_CD(self) -> Tensor:
        """Unit text feature of the episode's classes."""
        return self.bank.prototypes_CD[list(self.episode.classes)]

    def support_set(self) -> SupportSet:
        """Return the support set as a user would send it."""
        images: dict[int, list[SupportImage]] = {label: [] for label in range(len(self.labels))}
        for index, label in zip(self.support, self.episode.support_labels_S.tolist(), strict=True):
            image = self.bank.images[index]
            images[label].append(SupportImage(image.name, image.read()))
        return SupportSet(tuple(SupportClass(name, tuple(images[label])) for label, name in enumerate(self.labels)))

    def support_features(self, template: str) -> SupportFeatures:
        """Return what `read_support` returns, from the bank: each image is decoded and encoded once for all episodes.

        Args:
            template: of the class prompts.
        """
        backbone, support_set = self.bank.backbone, self.support_set()
        is_released = template == FinetuneRecipe().prompt_template
        prototypes_CD = self.prototypes_CD if is_released else zero_shot_prototypes(backbone, self.labels, template)
        frozen = Labelled(
            features_of(self.bank.readouts(self.support)), self.episode.support_labels_S, prototypes_CD.cpu().double()
        )
        return SupportFeatures(
            support_set,
            tuple(image for known in support_set.classes for image in known.images),
            tuple(resize(image, backbone.preprocessing) for image in self.bank.decoded(self.support)),
            frozen,
        )

    @cached_property
    def task(self) -> BankTask:
        """The task of the baselines, with the same views as a fine-tuning of this seed."""
        backbone, recipe = self.bank.backbone, FinetuneRecipe()
        views = Views(backbone.preprocessing, recipe, self.seed)
        image_views = [views.of_image(image, index) for index, image in enumerate(self.bank.decoded(self.support))]
        return BankTask(
            backbone=backbone,
            views_V3HW=stack_views(image_views).to(backbone.device, backbone.dtype),
            labels_V=self.episode.support_labels_S.to(backbone.device).repeat(recipe.num_views),
            num_images=len(image_views),
            prototypes_CD=self.prototypes_CD,
            queries_Q3HW=self.bank.pixels(self.query),
            images=self,
        )


@dataclass(frozen=True)
class BankTask(FewShotTask):
    """A task whose plain images are encoded by the bank, once for all episodes. It encodes only the other views itself."""

    images: EpisodeImages

    @cached_property
    def view_layers_VLD(self) -> Tensor:
        """Frozen layer features of the views, not normalised."""
        augmented_VLD = in_chunks(self.backbone.vision_tower.layer_features, self.views_V3HW[self.num_images :])
        return torch.cat((self.images.bank.layer_features(self.images.support), augmented_VLD))

    @cached_property
    def query_layers_QLD(self) -> Tensor:
        """Frozen layer features of the queries, not normalised."""
        return self.images.bank.layer_features(self.images.query)

    @cached_property
    def plain_unprojected_SW(self) -> Tensor:
        """Frozen features of the plain views before the projection into the joint space."""
        return self.images.bank.unprojected_features(self.images.support)

    @cached_property
    def query_unprojected_QW(self) -> Tensor:
        """Frozen features of the queries before the projection into the joint space."""
        return self.images.bank.unprojected_features(self.images.query)
