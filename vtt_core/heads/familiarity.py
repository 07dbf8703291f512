"""Tell images that are like none of the support images: noise, drawings, other domains.

An image's familiarity is its largest product with a class mean. Images of the classes that were held out say which values are
usual. The threshold is that below which a stated share of such images would fall.

This tells other kinds of images. It does not tell other classes of the same kind: a leaf with an unknown disease is a leaf.
Give examples of those as the negative class.

Shapes: B images, S support images, C classes, F size of all levels.
Source: Student's interval for one more value of a normal sample; docs/results.md, "Unknown images", where nearest neighbours, a
    bank of everyday images and the largest probability were compared with this.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from torch import Tensor

from vtt_core.contract.interval import student_quantile
from vtt_core.contract.serving import DEFAULT_FALSE_REJECTS
from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.folds import Fold

MIN_SUPPORT = 3
"""Values that a threshold needs."""


@dataclass(frozen=True)
class Usual:
    """The familiarity of held-out images of the classes."""

    mean: float
    deviation: float
    num_values: int

    def threshold(self, false_rejects: float = DEFAULT_FALSE_REJECTS) -> float:
        """Return the familiarity below which the stated share of images of the classes falls."""
        quantile = student_quantile(self.num_values - 1, false_rejects)
        return self.mean - quantile * self.deviation * math.sqrt(1 + 1 / self.num_values)


@dataclass(frozen=True)
class Familiarity:
    """What familiarity is measured against, and what is usual."""

    means_CF: Tensor
    """Mean of each class, or one row for all of them where no class has two images."""
    usual: Usual


def familiarity_of(levels_BF: Tensor, means_CF: Tensor) -> Tensor:
    """Return the largest product of each image's levels with a class mean."""
    values_B: Tensor = (levels_BF @ means_CF.mT).max(dim=-1).values
    return values_B


def class_means(levels_SF: Tensor, labels_S: Tensor, num_classes: int) -> Tensor:
    """Return means_CF of the levels. Where no class has two images, return one row: the mean of all of them.

    A mean is not scaled to unit length: one of images that differ stays short, and makes no image familiar.
    """
    if int(torch.bincount(labels_S, minlength=num_classes).max()) < 2:
        return levels_SF.mean(dim=0, keepdim=True)
    present = [label for label in range(num_classes) if bool((labels_S == label).any())]
    return torch.stack([levels_SF[labels_S == label].mean(dim=0) for label in present])


def learn_familiarity(
    features: ImageFeatures, labels_S: Tensor, num_classes: int, held_out: Sequence[float]
) -> Familiarity | None:
    """Return what is usual; None where too few images could be held out.

    Args:
        features: of all support images, by the tower that will be served.
        labels_S: their classes.
        num_classes: number of classes C.
        held_out: familiarity of images that were held out, see `fold_familiarity`.
    """
    if len(held_out) < MIN_SUPPORT:
        return None
    means_CF = class_means(features.levels_BF, labels_S, num_classes)
    return Familiarity(means_CF, Usual(mean(held_out), stdev(held_out), len(held_out)))


def fold_familiarity(features: ImageFeatures, labels_S: Tensor, num_classes: int, fold: Fold) -> list[float]:
    """Return the familiarity of a fold's held-out images with the images that it learns from.

    Args:
        features: of all images, by a tower that was not trained on the fold's held-out images.
        labels_S: classes of all images.
        num_classes: number of classes C.
        fold: of these images.
    """
    means_CF = class_means(features.levels_BF[fold.train], labels_S[fold.train], num_classes)
    values: list[float] = familiarity_of(features.levels_BF[fold.held_out], means_CF).tolist()
    return values


def leave_group_out_folds(groups: Sequence[Hashable]) -> list[Fold]:
    """Return a fold for each group: for a frozen tower, whose features do not depend on what is held out."""
    everyone = torch.arange(len(groups))
    folds = []
    for group in dict.fromkeys(groups):
        is_out = torch.tensor([other == group for other in groups])
        if not bool(is_out.all()):
            folds.append(Fold(everyone[~is_out], everyone[is_out]))
    return folds
