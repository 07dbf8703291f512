"""Split support images so that each is predicted by what was learnt from others.

Shapes: S support images, C classes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

MAX_FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Indices of the images to learn from, and of those that are held out."""

    train: Tensor
    held_out: Tensor


def make_folds(labels: Sequence[int], groups: Sequence[Hashable], num_folds: int, seed: int) -> list[Fold]:
    """Return folds that have about equally many images of each class.

    Images of one group are held out together, so that none is predicted from its own twin. An image whose class would be left
    without any image to learn from is never held out.

    Args:
        labels: class of each image.
        groups: group of each image; equal ones belong together.
        num_folds: at most; fewer where no class has so many groups.
        seed: of the order.

    Returns:
        At least 2 folds, or none where no class has 2 groups.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    most = max(Counter(label for label, _ in {(label, groups[index]) for index, label in enumerate(labels)}).values())
    num_folds = min(num_folds, most)
    if num_folds < 2:
        return []
    order = list(members.values())
    Random(seed).shuffle(order)
    order.sort(key=len, reverse=True)  # stable: groups of one size stay in the drawn order
    fold_of = _assign(order, labels, num_folds)
    return [fold for number in range(num_folds) if len((fold := _fold(fold_of, labels, number)).held_out)]


def _assign(order: Sequence[Sequence[int]], labels: Sequence[int], num_folds: int) -> list[int]:
    """Put each group where its classes have the fewest images so far, and of those where there are the fewest images."""
    fold_of = [0] * len(labels)
    held: list[Counter[int]] = [Counter() for _ in range(num_folds)]
    for group in order:
        kinds = [labels[index] for index in group]
        best = min(range(num_folds), key=lambda number: (sum(held[number][kind] for kind in kinds), held[number].total()))
        held[best].update(kinds)
        for index in group:
            fold_of[index] = best
    return fold_of


def _fold(fold_of: Sequence[int], labels: Sequence[int], number: int) -> Fold:
    learnable = {labels[index] for index, fold in enumerate(fold_of) if fold != number}
    is_out = [fold == number and labels[index] in learnable for index, fold in enumerate(fold_of)]
    out = torch.tensor(is_out)
    return Fold((~out).nonzero().flatten(), out.nonzero().flatten())
