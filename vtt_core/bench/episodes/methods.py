"""What a method of a benchmark is, and the baselines among them; those that make adapters are in `adapter_methods.py`.

Shapes: Q query images of an episode, C its classes, S support images, W tower width.
Source: docs/datasets.md, "Protocol".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from torch import Tensor

from vtt_core.adapter.linear_probe import probe_scores
from vtt_core.bench.baselines.few_shot_task import LOGIT_SCALE
from vtt_core.bench.baselines.registry import BASELINES
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.choice import train_all
from vtt_core.training.finetune import Finetune
from vtt_core.training.losses import class_logits


@dataclass(frozen=True)
class Prediction:
    """A method's predictions for an episode's queries."""

    predicted_Q: Tensor
    facts: dict[str, Any] = field(default_factory=dict)
    """Further facts, as JSON values."""
    probabilities_QC: Tensor | None = None
    """None for a method whose scores are no probabilities."""


class EpisodeMethod(ABC):
    """A method to compare: it learns from support images, then classifies queries."""

    @abstractmethod
    def predict(self, episodes: Sequence[EpisodeImages]) -> list[Prediction]:
        """Return the predictions of each episode. The episodes may be computed together."""


class FrozenMethod(EpisodeMethod):
    """A baseline on the bank's features, one episode after another."""

    def __init__(self, name: str) -> None:
        """Take the name of the baseline."""
        self._scores_of, self._is_calibrated = FROZEN[name], name not in WITHOUT_PROBABILITIES

    def predict(self, episodes: Sequence[EpisodeImages]) -> list[Prediction]:
        """Return the predictions of each episode."""
        scores = [self._scores_of(episode).detach().cpu() for episode in episodes]
        return [
            Prediction(scores_QC.argmax(dim=-1), {}, scores_QC.softmax(dim=-1) if self._is_calibrated else None)
            for scores_QC in scores
        ]


def finetune_all(
    episodes: Sequence[EpisodeImages], recipe: FinetuneRecipe, num_threads: int
) -> list[tuple[Finetune, dict[str, Any]]]:
    """Fine-tune on the support set of every episode. Return each with facts about DGSO, as JSON values.

    Args:
        episodes: trained together, in common steps.
        recipe: of every episode.
        num_threads: cores to use.
    """
    finetunes = [
        Finetune(
            images.bank.backbone,
            images.support_set(),
            recipe,
            images.seed,
            limits=images.bank.limits,
            num_threads=num_threads,
        )
        for images in episodes
    ]
    cosines: list[list[float]] = [[] for _ in episodes]
    for reports in train_all(finetunes):
        for report, seen in zip(reports, cosines, strict=True):
            if report is not None and report.conflict_cosine is not None:
                seen.append(report.conflict_cosine)
    return [(finetune, _dgso_facts(finetune, seen)) for finetune, seen in zip(finetunes, cosines, strict=True)]


def _dgso_facts(finetune: Finetune, cosines: Sequence[float]) -> dict[str, Any]:
    if not finetune.recipe.uses_absorption:
        return {}
    first = cosines[: finetune.recipe.conflict_window]
    return {
        "absorption_stopped_at": finetune.state.dgso.stopped_at,
        "first_conflict_cosine": mean(first) if first else None,
    }


def _zero_shot(images: EpisodeImages) -> Tensor:
    """Like the baseline of this name, but without making the views, which it does not need."""
    return class_logits(images.bank.features(images.query), images.prototypes_CD, LOGIT_SCALE)


def _linear_probe(images: EpisodeImages) -> Tensor:
    """Like the baseline of this name, but without making the views."""
    support_SW = images.bank.unprojected_features(images.support)
    query_QW = images.bank.unprojected_features(images.query)
    labels_S = images.episode.support_labels_S.to(support_SW.device)
    return probe_scores(support_SW, labels_S, query_QW, len(images.labels))


def _baseline(name: str) -> Callable[[EpisodeImages], Tensor]:
    return lambda images: BASELINES[name](images.task, images.seed)


FROZEN: dict[str, Callable[[EpisodeImages], Tensor]] = {
    **{name: _baseline(name) for name in BASELINES},
    "zero-shot": _zero_shot,
    "linear-probe": _linear_probe,
}
"""Baselines by name. Each returns scores_QC."""
WITHOUT_PROBABILITIES = frozenset({"linear-probe"})
"""Baselines whose scores are no logits: a softmax of them says nothing."""
