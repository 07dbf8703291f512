"""Score every image by classifiers that have not seen it.

Shapes: S support images, C classes, A bases of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vtt_core.heads.bases import BASES, READS_RIDGE, Labelled
from vtt_core.heads.folds import Fold
from vtt_core.heads.ridge import DEFAULT_RIDGE, RIDGES, one_hot

KnownForFold = Callable[[Fold], Labelled]
"""All images, with their features by a tower that has not been trained on the fold's held-out ones."""


@dataclass(frozen=True)
class HeldOut:
    """Scores of the images that could be held out, each the mean over the rounds that held it out."""

    indices_N: Tensor
    """Of these images among the support images."""
    labels_N: Tensor
    scores_ANC: Tensor
    """Of each base; not calibrated."""
    strengths: tuple[float, ...]
    """Weight of the squared norm that was chosen for each base."""


def held_out_scores(
    bases: Sequence[str], known: Labelled, rounds: Sequence[Sequence[Fold]], known_for: KnownForFold
) -> HeldOut:
    """Return the scores of a head's bases on held-out images.

    Args:
        bases: by name.
        known: all images; learnt from only through `known_for`.
        rounds: folds of the same images, split anew in each round; at least one.
        known_for: `lambda fold: known` for a frozen tower.
    """
    chosen = [_chosen_scores(base, known, rounds, known_for) for base in bases]
    is_held_S = _num_times_held(known, rounds) > 0
    return HeldOut(
        indices_N=is_held_S.nonzero().flatten(),
        labels_N=known.labels_S[is_held_S],
        scores_ANC=torch.stack([scores_SC[is_held_S] for scores_SC, _ in chosen]),
        strengths=tuple(strength for _, strength in chosen),
    )


def _chosen_scores(
    base: str, known: Labelled, rounds: Sequence[Sequence[Fold]], known_for: KnownForFold
) -> tuple[Tensor, float]:
    """Return scores_SC and the weight of the squared norm with the smallest squared error on what is held out."""
    if base not in READS_RIDGE:
        return _mean_scores(base, known, rounds, known_for, DEFAULT_RIDGE), DEFAULT_RIDGE
    targets_SC, is_held_S = one_hot(known.labels_S, known.num_classes), _num_times_held(known, rounds) > 0
    best: tuple[float, float, Tensor] | None = None
    for strength in RIDGES:
        scores_SC = _mean_scores(base, known, rounds, known_for, strength)
        error = float((scores_SC - targets_SC)[is_held_S].square().sum())
        if best is None or error < best[0]:
            best = (error, strength, scores_SC)
    assert best is not None
    return best[2], best[1]


def _mean_scores(
    base: str, known: Labelled, rounds: Sequence[Sequence[Fold]], known_for: KnownForFold, strength: float
) -> Tensor:
    sums_SC = torch.zeros(len(known.labels_S), known.num_classes, dtype=torch.float64)
    for fold in (fold for folds in rounds for fold in folds):
        seen = known_for(fold)
        if base in READS_RIDGE:  # computed once for all folds and strengths
            _ = seen.features.pooled_gram_BB if base == "probe" else seen.features.levels_gram_BB
        head = BASES[base](seen.take(fold.train), strength)
        sums_SC[fold.held_out] += head.scores(seen.features.take(fold.held_out).flat())
    return sums_SC / _num_times_held(known, rounds).clamp_min(1)[:, None]


def _num_times_held(known: Labelled, rounds: Sequence[Sequence[Fold]]) -> Tensor:
    indices = torch.cat([fold.held_out for folds in rounds for fold in folds])
    return torch.bincount(indices, minlength=len(known.labels_S))
