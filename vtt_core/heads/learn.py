"""Learn a head from labelled features: hold images out, weigh the bases, then fit them to all images.

STEP 1 hold out   every image is scored by classifiers that have not seen it
STEP 2 weigh      scales of the bases from these scores: calibrated probabilities
STEP 3 fit        the bases on all images, scaled and added: one matrix
STEP 4 know       what is usual for images of the classes, so that others can be told

Shapes: S support images, N of them that could be held out, C classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vtt_core.heads.bases import BASES, Labelled
from vtt_core.heads.familiarity import Familiarity, fold_familiarity, learn_familiarity, leave_group_out_folds
from vtt_core.heads.folds import MAX_FOLDS, Fold, make_folds
from vtt_core.heads.held_out import HeldOut, KnownForFold, held_out_scores
from vtt_core.heads.linear_head import LinearHead, sum_of
from vtt_core.heads.ridge import DEFAULT_RIDGE
from vtt_core.heads.scales import Evidence, fit_scales, uninformed_scales

HEAD_BASES: dict[str, tuple[str, ...]] = {"sum": ("ridge", "text"), **{name: (name,) for name in BASES}}
"""Bases of each head, the one that is always used first."""
NUM_ROUNDS = 5
"""Times that the images of a frozen tower are split into folds."""
MANY_IMAGES = 200
"""From here on, one round has images enough."""


@dataclass(frozen=True)
class HeldOutLogits:
    """Calibrated logits of images by heads that have not seen them."""

    indices_N: Tensor
    """Of these images among the support images."""
    labels_N: Tensor
    logits_NC: Tensor


@dataclass(frozen=True)
class LearntHead:
    """A head, and what the held-out images say about it."""

    linear: LinearHead
    scales: dict[str, float]
    held_out: HeldOutLogits | None
    """None where no image could be held out: one image a class, say."""
    familiarity: Familiarity | None


@dataclass(frozen=True)
class Splits:
    """How the images were split, and what was learnt from in each split."""

    rounds: Sequence[Sequence[Fold]]
    """Empty where no image can be held out."""
    known_for: KnownForFold
    familiar_folds: Sequence[Fold]
    """Splits that familiarity is measured on."""


def frozen_splits(known: Labelled, groups: Sequence[Hashable], seed: int) -> Splits:
    """Return splits for a frozen tower, whose features are the same whatever is held out."""
    labels = known.labels_S.tolist()
    num_rounds = NUM_ROUNDS if len(labels) < MANY_IMAGES else 1
    rounds = [make_folds(labels, groups, MAX_FOLDS, seed + number) for number in range(num_rounds)]
    rounds = [folds for folds in rounds if folds]
    are_many = len(labels) >= MANY_IMAGES and bool(rounds)
    return Splits(rounds, lambda fold: known, rounds[0] if are_many else leave_group_out_folds(groups))


def learn_head(
    kind: str,
    known: Labelled,
    splits: Splits,
    *,
    trained_text_scale: float | None,
    num_real: int,
    known_scales: Mapping[str, float] | None = None,
) -> LearntHead:
    """Learn a head.

    Args:
        kind: its name in the recipe.
        known: all images, with their features by the tower that will be served.
        splits: what is held out.
        trained_text_scale: scale of the class prompts in the training of the tower; None for a frozen tower, to which all
            images are new.
        num_real: number of classes that are no negative class; those come first.
        known_scales: of the bases, from an earlier head on this tower; they stand where no image can be held out.
    """
    bases = HEAD_BASES[kind]
    held = held_out_scores(bases, known, splits.rounds, splits.known_for) if splits.rounds else None
    if held is None:
        strengths: Sequence[float] = [DEFAULT_RIDGE] * len(bases)
        if known_scales is not None:
            scales = tuple(known_scales[base] for base in bases)
        else:
            scales = uninformed_scales(bases, trained_text_scale if trained_text_scale is not None else _text_evidence(known))
    else:
        strengths = held.strengths
        scales = fit_scales(
            [Evidence(base, scores, held.labels_N) for base, scores in zip(bases, held.scores_ANC, strict=True)]
        )
    parts = [BASES[base](known, strength).scaled(scale) for base, strength, scale in zip(bases, strengths, scales, strict=True)]
    return LearntHead(
        linear=sum_of(parts),
        scales=dict(zip(bases, scales, strict=True)),
        held_out=None if held is None else _held_out_logits(held, scales),
        familiarity=_familiarity(known, splits, num_real),
    )


def _text_evidence(known: Labelled) -> Evidence:
    """Return the class prompts' scores: a frozen tower has seen none of the images, so that all of them are evidence."""
    scores_SC = BASES["text"](known, DEFAULT_RIDGE).scores(known.features.flat())
    return Evidence("text", scores_SC, known.labels_S)


def _held_out_logits(held: HeldOut, scales: Sequence[float]) -> HeldOutLogits:
    logits_NC = torch.stack([scale * scores for scale, scores in zip(scales, held.scores_ANC, strict=True)]).sum(dim=0)
    return HeldOutLogits(held.indices_N, held.labels_N, logits_NC)


def _familiarity(known: Labelled, splits: Splits, num_real: int) -> Familiarity | None:
    """Learn what is usual for the real classes; examples of none of them are left out."""
    is_real_S = known.labels_S < num_real
    values: list[float] = []
    for fold in splits.familiar_folds:
        real = Fold(fold.train[is_real_S[fold.train]], fold.held_out[is_real_S[fold.held_out]])
        if len(real.train) and len(real.held_out):
            values += fold_familiarity(splits.known_for(fold).features, known.labels_S, num_real, real)
    return learn_familiarity(known.features.take(is_real_S), known.labels_S[is_real_S], num_real, values)
