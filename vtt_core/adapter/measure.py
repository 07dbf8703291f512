"""Measure a head on the support images that it has not seen, and say what a user should know.

Shapes: S support images, N of them held out, C classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from vtt_core.adapter.advice import Facts, advise
from vtt_core.adapter.support_features import SupportFeatures
from vtt_core.evaluation.counts import accuracy_facts, confusion_counts
from vtt_core.heads.bases import BASES, Labelled
from vtt_core.heads.calibration import calibration_error, reliability_bins
from vtt_core.heads.folds import Fold
from vtt_core.heads.held_out import held_out_scores
from vtt_core.heads.learn import LearntHead
from vtt_core.heads.prediction_sets import largest_coverage
from vtt_core.heads.ridge import DEFAULT_RIDGE
from vtt_core.heads.scales import USUAL_SCALES, log_likelihood

WIDENING = 1.6
"""Factor on the variance of a held-out accuracy: images that share most of what they were predicted from are not independent.
Source: docs/results.md, "Expected accuracy"."""


@dataclass(frozen=True)
class Measured:
    """What one way to classify says of the images that it has not seen, beside the linear probe on the same folds."""

    indices_N: Tensor
    """Of the real classes' held-out images."""
    labels_N: Tensor
    logits_NC: Tensor
    """Without the negative class."""
    probe_N: Tensor
    """What the linear probe on the frozen tower says, from the same folds."""
    how: str
    """How images were held out, in words."""

    @classmethod
    def of(cls, support: SupportFeatures, learnt: LearntHead, rounds: Sequence[Sequence[Fold]]) -> Measured:
        """Take a head's held-out logits, and hold out the linear probe in the same way."""
        held = learnt.held_out
        if held is None:
            return cls.nothing(support)
        probe = held_out_scores(["probe"], support.frozen, rounds, lambda fold: support.frozen)
        is_real_N = held.labels_N < support.way
        times = f", in {len(rounds)} rounds" if len(rounds) > 1 else ""
        return cls(
            held.indices_N[is_real_N],
            held.labels_N[is_real_N],
            held.logits_NC[is_real_N, : support.way],
            probe.scores_ANC[0, is_real_N, : support.way].argmax(dim=-1),
            f"{len(rounds[0])}-fold cross-validation{times}",
        )

    @classmethod
    def nothing(cls, support: SupportFeatures) -> Measured:
        """Return what is known where no image was held out."""
        none = torch.zeros(0, dtype=torch.long)
        return cls(none, none, torch.zeros(0, support.way, dtype=torch.float64), none, "")

    @property
    def said_N(self) -> Tensor:
        """The class that each image is taken for."""
        return self.logits_NC.argmax(dim=-1)

    def is_better_than(self, other: Measured) -> bool:
        """Tell whether this explains the images that both have held out better, by their mean log-likelihood."""
        both = sorted(set(self.indices_N.tolist()) & set(other.indices_N.tolist()))
        return bool(both) and self._log_likelihood_of(both) > other._log_likelihood_of(both)

    def _log_likelihood_of(self, indices: Sequence[int]) -> float:
        rows = [self.indices_N.tolist().index(index) for index in indices]
        return log_likelihood(self.logits_NC[rows], self.labels_N[rows])


@dataclass(frozen=True)
class Results:
    """What was measured on held-out images."""

    served: Measured
    """Of what is served, from as many images as could be learnt from."""
    frozen: Measured
    """The head on the frozen tower, from the same folds as `tuned` where there is one."""
    tuned: Measured | None
    """The head on fine-tuned towers; None where nothing was validated."""
    is_tuned: bool
    """Whether the fine-tuned tower is served."""
    unseen_labels: tuple[str, ...] = ()
    """Classes that this tower has not seen in its fine-tuning."""


def make_metrics(
    support: SupportFeatures,
    groups: Sequence[Hashable],
    known: Labelled,
    learnt: LearntHead,
    results: Results,
    method: str,
) -> dict[str, Any]:
    """Return what was measured, as JSON values.

    Args:
        support: the support set.
        groups: group of each image.
        known: the images by the tower that is served.
        learnt: the head that is served.
        results: on the images that were held out.
        method: of the recipe that was asked for.
    """
    held = results.served if len(results.served.labels_N) else None
    labels = support.support_set.labels
    metrics: dict[str, Any] = {
        "num_support_images": sum(known.shot for known in support.support_set.classes),
        "training_accuracy": _training_accuracy(support, known, learnt),
        "expected_accuracy": None
        if held is None
        else _accuracy(held.said_N, held.labels_N) | {"how": held.how, "widening": WIDENING},
        "zero_shot": _zero_shot(support, held),
        "linear_probe": None if held is None else _accuracy(held.probe_N, held.labels_N),
        "frozen_head": _accuracy_of(results.frozen),
        "fine_tuned": _accuracy_of(results.tuned),
        "per_class": _per_class(support, held),
        "confusion": None if held is None else confusion_counts(held.labels_N.tolist(), held.said_N.tolist(), len(labels)),
        "mistakes": [] if held is None else _mistakes(support, held),
        "calibration_error": None if held is None else _calibration(held, learnt),
        "reliability": None if held is None else _reliability(held),
        "largest_coverage": None if held is None else largest_coverage(len(held.labels_N)),
        "unknown": None
        if learnt.familiarity is None
        else {"threshold": learnt.familiarity.usual.threshold(), "num_images": learnt.familiarity.usual.num_values},
        "groups": {
            "count": len(set(groups)),
            "near_duplicates": [[support.images[index].name for index in pair] for pair in support.duplicates],
            "suspected_leaks": len(support.leaks),
        },
        "choice": {
            "method": method,
            "tower": "fine-tuned" if results.is_tuned else "frozen",
            "scales": learnt.scales,
        },
    }
    facts = Facts(
        labels,
        tuple(one.shot for one in support.support_set.classes),
        metrics,
        results.is_tuned,
        results.unseen_labels,
        _one_group_labels(support, groups),
    )
    return metrics | {"advice": advise(facts)}


def _one_group_labels(support: SupportFeatures, groups: Sequence[Hashable]) -> tuple[str, ...]:
    """Return the classes of several images that are all of one group."""
    found, rest = [], list(groups)
    for one in support.support_set.classes:  # in whose order the images are
        members, rest = rest[: one.shot], rest[one.shot :]
        if len(members) > 1 and len(set(members)) == 1:
            found.append(one.label)
    return tuple(found)


def _accuracy_of(measured: Measured | None) -> dict[str, Any] | None:
    if measured is None or not len(measured.labels_N):
        return None
    return _accuracy(measured.said_N, measured.labels_N)


def _accuracy(said_N: Tensor, labels_N: Tensor) -> dict[str, Any]:
    return accuracy_facts(int((said_N == labels_N).sum()), len(labels_N), WIDENING)


def _training_accuracy(support: SupportFeatures, known: Labelled, learnt: LearntHead) -> float:
    """Return the share of images, which the model has learnt from, that it classifies correctly: an upper bound."""
    is_real_S = known.labels_S < support.way
    said_S = learnt.linear.scores(known.features.flat())[is_real_S, : support.way].argmax(dim=-1)
    return float((said_S == known.labels_S[is_real_S]).double().mean())


def _zero_shot(support: SupportFeatures, held: Measured | None) -> dict[str, Any]:
    """Return the class prompts' accuracy on the held-out images, or on all of them, since it has seen none."""
    frozen = support.frozen
    scores_SC = BASES["text"](frozen, DEFAULT_RIDGE).scores(frozen.features.flat())[:, : support.way]
    indices = held.indices_N if held is not None else (frozen.labels_S < support.way).nonzero().flatten()
    return _accuracy(scores_SC[indices].argmax(dim=-1), frozen.labels_S[indices])


def _per_class(support: SupportFeatures, held: Measured | None) -> list[dict[str, Any]]:
    rows = []
    for index, known in enumerate(support.support_set.classes):
        is_of_class = held.labels_N == index if held is not None else torch.zeros(0, dtype=torch.bool)
        num_held = int(is_of_class.sum())
        right = int((held.said_N[is_of_class] == index).sum()) if held is not None else 0
        rows.append(
            {
                "label": known.label,
                "num_images": known.shot,
                "num_held_out": num_held,
                "recall": right / num_held if num_held else None,
            }
        )
    return rows


def _mistakes(support: SupportFeatures, held: Measured) -> list[dict[str, Any]]:
    """Return the images that were taken for another class, the surest mistakes first."""
    probabilities_NC, labels = held.logits_NC.softmax(dim=-1), support.support_set.labels
    wrong = (held.said_N != held.labels_N).nonzero().flatten().tolist()
    rows = [
        {
            "image": support.images[int(held.indices_N[row])].name,
            "label": labels[int(held.labels_N[row])],
            "said": labels[int(held.said_N[row])],
            "probability": float(probabilities_NC[row].max()),
        }
        for row in wrong
    ]
    return sorted(rows, key=lambda row: -float(row["probability"]))


def _calibration(held: Measured, learnt: LearntHead) -> dict[str, float]:
    """Return the calibration error of the head, and what it would be at the usual scale of its first base."""
    first, scale = next(iter(learnt.scales.items()))
    usual_NC = held.logits_NC * (USUAL_SCALES[first] / scale)
    return {
        "before": calibration_error(usual_NC.softmax(dim=-1), held.labels_N),
        "after": calibration_error(held.logits_NC.softmax(dim=-1), held.labels_N),
    }


def _reliability(held: Measured) -> list[dict[str, Any]]:
    """Return the points of the reliability curve, without empty bins."""
    bins = reliability_bins(held.logits_NC.softmax(dim=-1), held.labels_N)
    return [asdict(one) for one in bins if one.num_images]
