"""Draw few-shot episodes: some classes, a support set and queries of each.

Shapes: I images, N way, S support images of an episode (way x shot), Q its query images.
Source: docs/datasets.md, "Protocol"; the split by patient of ChestX-ray14 is Wang et al. 2017's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from vtt_core.contract.errors import SupportSetError

Item = TypeVar("Item")
MAX_DRAWS = 1000
"""Attempts to draw one episode before giving up: its groups are too large."""


@dataclass(frozen=True)
class Protocol:
    """Size, number and seed of the episodes."""

    way: int = 5
    shot: int = 5
    num_queries: int = 15
    """Of each class."""
    num_episodes: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Episode:
    """Image indices of an episode. Labels are numbers of its own classes."""

    classes: tuple[int, ...]
    """The N drawn classes, in the order of the labels."""
    support_S: Tensor
    support_labels_S: Tensor
    query_Q: Tensor
    query_labels_Q: Tensor


def draw_episodes(class_I: Sequence[int], protocol: Protocol, group_I: Sequence[str] | None = None) -> Iterator[Episode]:
    """Yield the episodes of a protocol. The same arguments give the same episodes.

    Args:
        class_I: class of each image.
        protocol: what to draw.
        group_I: group of each image, such as a patient. In an episode, no group has both support and query images.

    Raises:
        SupportSetError: too few classes have enough images.
    """
    class_tensor_I = torch.tensor(class_I)
    needed = protocol.shot + protocol.num_queries
    counts = torch.bincount(class_tensor_I)
    usable = (counts >= needed).nonzero().flatten()
    if len(usable) < protocol.way:
        raise SupportSetError(
            expected=f"{protocol.way} classes of at least {needed} images each",
            got=f"{len(usable)}",
            remedy="Lower the way, the shot or the number of queries",
        )
    for number in range(protocol.num_episodes):
        generator = torch.Generator().manual_seed(protocol.seed * 1_000_003 + number)
        classes = usable[torch.randperm(len(usable), generator=generator)[: protocol.way]].tolist()
        yield _draw(class_tensor_I, classes, protocol, generator, group_I)


def in_parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items. The last one may be shorter."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part


def _draw(
    class_I: Tensor, classes: list[int], protocol: Protocol, generator: torch.Generator, group_I: Sequence[str] | None
) -> Episode:
    for _ in range(MAX_DRAWS):
        shuffled = [_shuffle((class_I == index).nonzero().flatten(), generator) for index in classes]
        support = [images_I[: protocol.shot] for images_I in shuffled]
        taken = set() if group_I is None else {group_I[index] for index in torch.cat(support).tolist()}
        query = [_outside(images_I[protocol.shot :], taken, group_I)[: protocol.num_queries] for images_I in shuffled]
        if all(len(images_I) == protocol.num_queries for images_I in query):
            labels_N = torch.arange(protocol.way)
            return Episode(
                classes=tuple(classes),
                support_S=torch.cat(support),
                support_labels_S=labels_N.repeat_interleave(protocol.shot),
                query_Q=torch.cat(query),
                query_labels_Q=labels_N.repeat_interleave(protocol.num_queries),
            )
    raise SupportSetError(
        expected=f"{protocol.num_queries} queries a class from groups outside the support set",
        got=f"fewer in each of {MAX_DRAWS} draws",
        remedy="Lower the shot or the number of queries",
    )


def _shuffle(images_I: Tensor, generator: torch.Generator) -> Tensor:
    return images_I[torch.randperm(len(images_I), generator=generator)]


def _outside(images_I: Tensor, taken: set[str], group_I: Sequence[str] | None) -> Tensor:
    """Return the images whose group is not taken."""
    if group_I is None:
        return images_I
    return images_I[torch.tensor([group_I[index] not in taken for index in images_I.tolist()], dtype=torch.bool)]
