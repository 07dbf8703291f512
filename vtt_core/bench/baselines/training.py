"""Train a baseline on frozen features: epochs of batches, AdamW, one cosine schedule over all steps.

Shapes: B views of a batch, V views, N steps.
Source: the released code of Tip-Adapter and of LDC, which share this form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn

from vtt_core.training.seeding import make_generator


@dataclass(frozen=True)
class Schedule:
    """How a baseline is trained."""

    num_epochs: int
    batch_size: int
    """Largest batch."""
    learning_rate: float
    """At the first step; the cosine ends at zero."""
    weight_decay: float
    adam_epsilon: float


def train(
    parameters: Iterable[nn.Parameter], loss_of: Callable[[Tensor], Tensor], num_views: int, schedule: Schedule, seed: int
) -> Tensor:
    """Train the parameters in place.

    Args:
        parameters: what is trained.
        loss_of: returns the loss of a batch, given the indices of its views.
        num_views: number of views. Each epoch uses all of them.
        schedule: constants.
        seed: of the order.

    Returns:
        losses_N, the loss of every step before its update.
    """
    optimiser = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, eps=schedule.adam_epsilon
    )
    num_steps = schedule.num_epochs * ceil(num_views / schedule.batch_size)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, num_steps)
    losses = []
    for epoch in range(schedule.num_epochs):
        for views_B in epoch_batches(num_views, schedule.batch_size, seed, epoch):
            loss = loss_of(views_B)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cosine.step()
            losses.append(loss.detach())
    return torch.stack(losses)


def epoch_batches(num_views: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Yield the view indices of one epoch's batches, in a random order.

    Batch sizes differ by at most one: batch normalisation fails on a batch of a single view.

    Args:
        num_views: number of views.
        batch_size: largest batch.
        seed: of the order.
        epoch: its number, from 0.
    """
    order_V = torch.randperm(num_views, generator=make_generator(seed, "baseline order", epoch))
    yield from order_V.tensor_split(ceil(num_views / batch_size))
