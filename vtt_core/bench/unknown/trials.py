"""Train on the classes of episodes, then offer images of none of them.

A model that knows what it does not know rejects these, and few of the queries. Each episode gives:

- the share of queries that are rejected by mistake,
- for each set of other images, the share that is accepted by mistake,
- and the AUROC: how often a query is more familiar than such an image.

Shapes: Q queries, B other images.
Source: Hanley & McNeil 1982, the area under the ROC curve as a share of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from vtt_core.adapter.answer import answers
from vtt_core.adapter.classify import adapter_scores
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.towers import Readout
from vtt_core.bench.episodes.adapter_methods import AdapterMethod, EpisodeAdapter, readouts_by
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.errors import InputError
from vtt_core.contract.serving import AnswerOptions, Prediction
from vtt_core.heads.features import head_input
from vtt_core.training.seeding import make_generator

SAME = "same"
"""Name of the set of other classes of the same data."""


@dataclass(frozen=True)
class OutSet:
    """Images that no episode is trained on."""

    name: str
    bank: ImageBank | None
    """None for the other classes of the data set that the episodes are from."""

    def draw(self, images: EpisodeImages, num_images: int) -> tuple[ImageBank, list[int]]:
        """Return a bank and indices of images in it, drawn anew for each episode; fewer where there are not so many.

        Raises:
            InputError: the episode has all classes of its data set, so that there are no others.
        """
        bank = self.bank or images.bank
        candidates = list(range(len(bank.images)))
        if self.bank is None:
            taken = set(images.episode.classes)
            candidates = [index for index in candidates if bank.class_I[index] not in taken]
        if not candidates:
            raise InputError(
                expected=f"more than {len(images.labels)} classes, so that some are left",
                got=str(len(bank.labels)),
                remedy=f"Lower --way, or leave out --out {SAME}",
            )
        order = torch.randperm(len(candidates), generator=make_generator(images.seed, f"unknown {self.name}")).tolist()
        return bank, [candidates[place] for place in order[:num_images]]


@dataclass(frozen=True)
class Trial:
    """What one episode gave."""

    episode: int
    accuracy: float
    """Of the queries, whatever is rejected."""
    false_rejects: float
    """Share of the queries taken for none of the classes."""
    false_accepts: dict[str, float] = field(default_factory=dict)
    """Share of each set's images taken for one of the classes."""
    auroc: dict[str, float] = field(default_factory=dict)
    """Share of pairs of a query and an image of the set in which the query is more familiar."""


def run_trials(
    method: AdapterMethod, episodes: Iterator[EpisodeImages], out_sets: Sequence[OutSet], false_rejects: float, num_images: int
) -> Iterator[Trial]:
    """Yield the trial of each episode.

    Args:
        method: what makes an adapter.
        episodes: to train on.
        out_sets: whose images are offered besides the queries.
        false_rejects: share of the images of the classes that may be rejected.
        num_images: of each set and episode.

    Raises:
        InputError: the method does not learn what is familiar.
    """
    options = AnswerOptions(false_rejects=false_rejects)
    for images in episodes:
        [made] = method.adapters([images])
        known = _answers(made.adapter, made.queries, options)
        trial = Trial(images.number, _accuracy(made, images), _rejected(known))
        for out_set in out_sets:
            bank, indices = out_set.draw(images, num_images)
            other = _answers(made.adapter, readouts_by(made.adapter, bank, indices), options)
            trial.false_accepts[out_set.name] = 1 - _rejected(other)
            trial.auroc[out_set.name] = auroc(_margins(known), _margins(other))
        yield trial


def auroc(known: Sequence[float], other: Sequence[float]) -> float:
    """Return the share of pairs in which the known image has the larger value; equal values count half."""
    known_Q1, other_1B = torch.tensor(known, dtype=torch.float64)[:, None], torch.tensor(other, dtype=torch.float64)[None]
    return float(((known_Q1 > other_1B).double() + 0.5 * (known_Q1 == other_1B)).mean())


def _accuracy(made: EpisodeAdapter, images: EpisodeImages) -> float:
    said_Q = adapter_scores(made.adapter, made.queries)[:, : len(images.labels)].argmax(dim=-1)
    return float((said_Q == images.episode.query_labels_Q).double().mean())


def _answers(adapter: Adapter, readout: Readout, options: AnswerOptions) -> list[Prediction]:
    phi_BX = head_input(Readout(*(part.cpu().float() for part in readout)))
    return answers(adapter, adapter_scores(adapter, readout), phi_BX, options)


def _rejected(answered: Sequence[Prediction]) -> float:
    """Return the share of images taken for none of the classes."""
    verdicts = [answer.none_of_these for answer in answered if answer.none_of_these is not None]
    if len(verdicts) < len(answered):
        raise InputError(
            expected="a method that learns what is familiar from images that it holds out",
            got="one that does not, or too few images to hold out",
            remedy="Use frozen, auto, or a fine-tuning with validation_folds=2 and at least 2 shots",
        )
    return sum(verdicts) / len(verdicts)


def _margins(answered: Sequence[Prediction]) -> list[float]:
    """Return how far the familiarity of each image is above the threshold."""
    return [answer.familiarity for answer in answered if answer.familiarity is not None]
