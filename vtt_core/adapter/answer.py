"""Turn the scores of an image into an answer: probabilities, a prediction set, and whether it is none of the classes.

Shapes: C classes; R = C rows of a head, one more with a negative class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vtt_core.adapter.files import Adapter
from vtt_core.contract.manifest import AdapterManifest
from vtt_core.contract.serving import AnswerOptions, Prediction
from vtt_core.heads.familiarity import Usual, familiarity_of
from vtt_core.heads.prediction_sets import largest_coverage, prediction_set, threshold_for
from vtt_core.heads.strangers import STRANGER_SCORE

NEGATIVE_VERDICT = 0.5
"""Probability of the negative class from which an image is taken for none of the others."""


@dataclass(frozen=True)
class Answering:
    """What an adapter knows that its scores do not say."""

    labels: tuple[str, ...]
    has_negative: bool
    nonconformity: tuple[float, ...]
    usual: Usual | None
    """Familiarity of images of the classes; None where it is not known."""

    @classmethod
    def of(cls, manifest: AdapterManifest) -> Answering:
        """Take it from a manifest."""
        head = manifest.head
        if head is None:
            return cls(manifest.labels, has_negative=False, nonconformity=(), usual=None)
        facts = head.familiarity
        usual = None if facts is None else Usual(facts["mean"], facts["deviation"], int(facts["num_values"]))
        return cls(manifest.labels, head.has_negative, head.nonconformity, usual)

    def answer(
        self, scores_R: NDArray[Any], familiarity: float | None, stranger: float | None, options: AnswerOptions
    ) -> Prediction:
        """Return the answer for one image.

        Args:
            scores_R: of the head.
            familiarity: its largest product with a class mean; None without class means.
            stranger: how like generated images it is; None where that was not learnt.
            options: what the caller wants to know.
        """
        probabilities = _softmax(scores_R[: len(self.labels)]).tolist()
        negative = float(_softmax(scores_R)[-1]) if self.has_negative else None
        margin = None
        if self.usual is not None and familiarity is not None:
            margin = familiarity - _threshold(self.usual, options.false_rejects)
        ranked = sorted(zip(self.labels, probabilities, strict=True), key=lambda pair: -pair[1])
        classes, coverage = self._set(probabilities, options)
        return Prediction(
            probabilities=dict(ranked),
            none_of_these=_verdict(margin, negative, stranger),
            familiarity=margin,
            negative_probability=negative,
            prediction_set=classes,
            coverage=coverage,
        )

    def _set(self, probabilities: Sequence[float], options: AnswerOptions) -> tuple[tuple[str, ...] | None, float | None]:
        """Return the prediction set and what it promises: what is wanted, or as much as can be promised."""
        largest = largest_coverage(len(self.nonconformity))
        coverage = min(options.coverage, largest)
        threshold = threshold_for(self.nonconformity, coverage)
        if threshold is None:
            return None, None
        return tuple(self.labels[index] for index in prediction_set(probabilities, threshold)), coverage


def answers(adapter: Adapter, scores_BR: Tensor, phi_BX: Tensor, options: AnswerOptions) -> list[Prediction]:
    """Return the answers for some images.

    Args:
        adapter: whose head gave the scores.
        scores_BR: of `adapter_scores`.
        phi_BX: what the head reads, see `head_input`.
        options: what the caller wants to know.
    """
    known, means_MF = Answering.of(adapter.manifest), adapter.class_means_MF
    familiar: list[float | None] = [None] * len(scores_BR)
    if means_MF is not None:
        familiar = familiarity_of(phi_BX[:, : means_MF.shape[1]], means_MF).tolist()
    strange: list[float | None] = [None] * len(scores_BR)
    if adapter.strangers is not None:
        row = adapter.strangers
        strange = row.scores(phi_BX[:, : row.weight_CX.shape[1]])[:, 0].tolist()
    rows = zip(scores_BR.numpy(), familiar, strange, strict=True)
    return [known.answer(scores_R, value, stranger, options) for scores_R, value, stranger in rows]


def _softmax(scores_R: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):  # as torch: scores beyond float32 are no reason to warn
        shares_R: NDArray[Any] = np.exp(scores_R - scores_R.max())
        shares_R /= shares_R.sum()
    return shares_R


@lru_cache(maxsize=1024)
def _threshold(usual: Usual, false_rejects: float) -> float:
    """Return a threshold that was computed before, since every image of a model asks for the same one."""
    return usual.threshold(false_rejects)


def _verdict(margin: float | None, negative: float | None, stranger: float | None) -> bool | None:
    reasons = [
        None if margin is None else margin < 0,
        None if negative is None else negative >= NEGATIVE_VERDICT,
        None if stranger is None else stranger >= STRANGER_SCORE,
    ]
    known = [reason for reason in reasons if reason is not None]
    return any(known) if known else None
