"""Find images that are probably one photo, and join images that are not independent.

Copies are told by how alike two images are, compared with how alike either is to any other image. A bound on the likeness alone
does not do: two tiles of open water are as alike as a photo and its copy.

Shapes: S support images, F size of all levels.
Source: Lowe 2004, section 7.1, the ratio of the nearest to the next distance; Gower & Ross 1969, minimum spanning tree and
    single-linkage clusters. Measured on `mini`, 12 support sets of 2, 5 and 16 shots each:

    | | EuroSAT | CropDisease | ISIC | ChestX |
    | --- | --- | --- | --- | --- |
    | median cosine with the nearest other image | 0.950 | 0.964 | 0.960 | 0.970 |
    | with its copy: JPEG quality 50 | 0.991 | 1.000 | 1.000 | 0.999 |
    | with its copy: 5 % cropped | 0.995 | 0.991 | 0.997 | 0.987 |
    | with its copy: mirrored | 0.997 | 0.997 | 0.999 | 0.997 |
    | with its copy: half the side | 0.979 | 1.000 | 1.000 | 0.965 |
    | copies found: JPEG, mirrored | 79 to 100 % | 100 % | 100 % | 100 % |
    | copies found: cropped | 97 to 100 % | 87 to 100 % | 100 % | 30 to 79 % |
    | copies found: half the side | 33 to 78 % | 100 % | 100 % | 0 to 12 % |
    | other images that are paired | 2 to 5 % | 0 to 1 % | 0 to 2 % | 0 to 1 % |

    The tiles of EuroSAT and ChestX have 64 pixels, so half of them is a blur. The pairs of EuroSAT are open water and forest.

    With the brightness of 16 x 16 parts, on all images of the four (289 to 900 each): by `PARTS_COSINE` and `SAME_PARTS` 0,
    0.2, 0 and 0.7 % of the images had another photo for a copy. Found of copies: JPEG at quality 50 86 to 100 %, half the side
    90 to 100 %, mirrored 100 %, 5 % cropped 16 to 75 %. `SIMILAR_PARTS` is for these: near-duplicates by features are 87 to
    100 % of them (X-rays: 30 %).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import combinations

import torch
from torch import Tensor

MIN_COSINE = 0.97
"""Two images that are less alike are never called copies."""
PAIR_RATIO = 0.4
"""Largest distance between two copies, in units of the distance to the nearest other image."""
CLUSTER_RATIO = 0.1
"""The same for three and more copies, which a class of similar images is more easily taken for."""
MAX_COPIES = 5
"""More images that are alike are the look of a class."""
PARTS_COSINE = 0.93
"""Of the levels of two copies with the same parts."""
SAME_PARTS = 0.95
"""Correlation of the brightness of the parts of two copies."""
SIMILAR_PARTS = 0.8
"""The same for two images that are near-duplicates by their features."""


class _Joined:
    """Sets of images that grow together."""

    def __init__(self, count: int) -> None:
        self._root = list(range(count))
        self._members = [[index] for index in range(count)]

    def members(self, index: int) -> list[int]:
        return self._members[self._root[index]]

    def join(self, first: int, second: int) -> None:
        small, large = sorted((self._root[first], self._root[second]), key=lambda root: len(self._members[root]))
        if small == large:
            return
        for index in self._members[small]:
            self._root[index] = large
        self._members[large] += self._members[small]
        self._members[small] = []

    def numbers(self) -> list[int]:
        """Return a number for each image, equal for those of one set, from 0 in the order in which sets appear."""
        number_of: dict[int, int] = {}
        return [number_of.setdefault(root, len(number_of)) for root in self._root]


def copies(levels_SF: Tensor, correlation_SS: Tensor) -> list[tuple[int, int]]:
    """Return pairs of images that look like one photo, by their features and by the brightness of their parts.

    Args:
        levels_SF: levels of all images, each of unit length.
        correlation_SS: of `part_correlations`.

    Returns:
        Pairs of indices, the smaller first, in order.
    """
    rough_SF = levels_SF.float()
    is_same_SS = (rough_SF @ rough_SF.mT > PARTS_COSINE) & (correlation_SS > SAME_PARTS)
    pairs = {(first, second) for first, second in is_same_SS.triu(1).nonzero().tolist()}
    return sorted(pairs | {pair for pair in near_duplicates(levels_SF) if correlation_SS[pair] > SIMILAR_PARTS})


def near_duplicates(levels_SF: Tensor) -> list[tuple[int, int]]:
    """Return pairs of images that are probably one photo: recompressed, resized, slightly cropped, mirrored, or of one burst.

    Args:
        levels_SF: levels of all images, each of unit length.

    Returns:
        Pairs of indices, the smaller first, in order. Of three copies all three pairs are returned.
    """
    joined, height_of = _Joined(len(levels_SF)), defaultdict[int, float](float)
    pairs: set[tuple[int, int]] = set()
    for distance, first, second in _spanning_tree(levels_SF):
        for index in (first, second):
            members = joined.members(index)
            ratio = PAIR_RATIO if len(members) == 2 else CLUSTER_RATIO
            is_tight = height_of[min(members)] <= min(1 - MIN_COSINE, ratio * distance)
            if 2 <= len(members) <= MAX_COPIES and is_tight:
                pairs |= set(combinations(sorted(members), 2))
        joined.join(first, second)
        height_of[min(joined.members(first))] = distance
    return sorted(pairs)


def joined_groups(groups: Sequence[Hashable | None], pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return a number for each image, equal for images that are not independent, directly or through others.

    Args:
        groups: that the user gave, by image; None for an image without one.
        pairs: images that are near-duplicates.
    """
    joined = _Joined(len(groups))
    first_of: dict[Hashable, int] = {}
    for index, group in enumerate(groups):
        if group is not None:
            joined.join(first_of.setdefault(group, index), index)
    for first, second in pairs:
        joined.join(first, second)
    return joined.numbers()


def _spanning_tree(levels_SF: Tensor) -> list[tuple[float, int, int]]:
    """Return the edges of the minimum spanning tree with their cosine distances, the shortest first, by Prim's method."""
    count = len(levels_SF)
    distance_SS = (1 - levels_SF @ levels_SF.mT).clamp_min_(0)
    nearest_S = levels_SF.new_full((count,), torch.inf)
    parent_S = torch.zeros(count, dtype=torch.long)
    is_open_S = torch.ones(count, dtype=torch.bool)
    edges, current = [], 0
    for _ in range(count - 1):
        is_open_S[current] = False
        is_nearer_S = is_open_S & (distance_SS[current] < nearest_S)
        nearest_S = torch.where(is_nearer_S, distance_SS[current], nearest_S)
        parent_S[is_nearer_S] = current
        current = int(torch.where(is_open_S, nearest_S, torch.inf).argmin())
        edges.append((float(nearest_S[current]), int(parent_S[current]), current))
    return sorted(edges)
