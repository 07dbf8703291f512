"""The methods that make an adapter of an episode, as the service does: fine-tunings with their heads, `frozen` and `auto`.

| recipe | is run by |
| --- | --- |
| a fine-tuning without validation folds | `FinetuneMethod`: several episodes may be trained as one on a GPU |
| every other | `AdaptationMethod`: one episode after another |

Methods that differ only in their head share what is trained.

Shapes: Q query images of an episode, C its classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from vtt_core.adapter.adaptation import Adaptation, learn_tuned_head
from vtt_core.adapter.answer import answers
from vtt_core.adapter.classify import adapter_scores, read_for
from vtt_core.adapter.files import Adapter
from vtt_core.adapter.strip import strip, with_head
from vtt_core.backbones.towers import Readout
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank, Memo
from vtt_core.bench.episodes.measures import (
    COVERAGES,
    EXPECTED,
    EXPECTED_HIGH,
    EXPECTED_LOW,
    coverage_name,
    promised_name,
    set_size_name,
)
from vtt_core.bench.episodes.methods import EpisodeMethod, FrozenMethod, Prediction, finetune_all
from vtt_core.contract.method_spec import MethodSpec
from vtt_core.contract.recipe import FROZEN, FinetuneRecipe, Head
from vtt_core.contract.serving import AnswerOptions
from vtt_core.heads.bases import Labelled
from vtt_core.heads.features import head_input

SHARED_BYTES = 2**28
"""Most bytes that are kept for other heads."""


@dataclass(frozen=True)
class EpisodeAdapter:
    """An adapter that was made of an episode's support set."""

    adapter: Adapter
    facts: dict[str, Any]
    """About how it was made, as JSON values."""
    queries: Readout
    """Of the episode's queries, by its tower."""


@dataclass(frozen=True)
class Tuned:
    """What heads need of a fine-tuning on an episode."""

    adapter: Adapter
    known: Labelled
    """The support images by its tower."""
    queries: Readout
    facts: dict[str, Any]


class SharedFinetunings:
    """What was trained for one head and may serve another, for the episodes used last."""

    def __init__(self, recipes: Sequence[FinetuneRecipe] = (), max_bytes: int = SHARED_BYTES) -> None:
        """Take the recipes of all methods of a benchmark."""
        self._recipes, self._memo = recipes, Memo(max_bytes)

    def other_heads(self, recipe: FinetuneRecipe) -> list[Head]:
        """Return the heads of the recipes that differ from this one only in their head."""
        return [other.head for other in self._recipes if other.head != recipe.head and same_but_head(other, recipe)]

    def get(self, recipe: FinetuneRecipe, images: EpisodeImages) -> object | None:
        """Return what was kept for a recipe and an episode, or None."""
        return self._memo.get((recipe, images.number))

    def keep(self, recipe: FinetuneRecipe, images: EpisodeImages, value: object, tensors: Iterable[Tensor]) -> None:
        """Keep a value that consists of these tensors."""
        self._memo.keep((recipe, images.number), value, sum(tensor.nbytes for tensor in tensors))


class AdapterMethod(EpisodeMethod):
    """A method that makes an adapter of every episode."""

    @abstractmethod
    def adapters(self, episodes: Sequence[EpisodeImages]) -> list[EpisodeAdapter]:
        """Return the adapter of each episode. They may be trained together."""

    def predict(self, episodes: Sequence[EpisodeImages]) -> list[Prediction]:
        """Make the adapter of each episode, and classify its queries."""
        return [
            answer_queries(made, images.episode.query_labels_Q)
            for images, made in zip(episodes, self.adapters(episodes), strict=True)
        ]


class FinetuneMethod(AdapterMethod):
    """A fine-tuning of which nothing is held out: Finetune, strip, learn the head."""

    def __init__(self, recipe: FinetuneRecipe, num_threads: int, shared: SharedFinetunings | None = None) -> None:
        """Remember what to run.

        Args:
            recipe: of every episode.
            num_threads: cores to use.
            shared: what other heads have trained.
        """
        self._recipe, self._num_threads = recipe, num_threads
        self._shared = shared or SharedFinetunings()
        self._trained = replace(recipe, head=FinetuneRecipe.head)

    def adapters(self, episodes: Sequence[EpisodeImages]) -> list[EpisodeAdapter]:
        """Fine-tune on all episodes together that no other head has trained, then learn the head of each."""
        found = {images.number: self._shared.get(self._trained, images) for images in episodes}
        missing = [images for images in episodes if found[images.number] is None]
        trained = dict(zip((images.number for images in missing), self._train(missing), strict=True))
        return [self._with_head(images, found[images.number] or trained[images.number]) for images in episodes]

    def _train(self, episodes: Sequence[EpisodeImages]) -> list[Tuned]:
        if not episodes:
            return []
        finished = finetune_all(episodes, self._trained, self._num_threads)
        tuned = []
        for images, (finetune, facts) in zip(episodes, finished, strict=True):
            bank, adapter = images.bank, strip(finetune)
            known = images.support_features(self._trained.prompt_template).by(bank.backbone, finetune)
            tuned.append(Tuned(adapter, known, readouts_by(adapter, bank, images.query), facts))
        if self._shared.other_heads(self._recipe):
            for images, one in zip(episodes, tuned, strict=True):
                tensors = (*tensors_of(one.adapter), *one.queries, one.known.features.flat())
                self._shared.keep(self._trained, images, replace(one, facts={**one.facts, "shares_finetuning": True}), tensors)
        return tuned

    def _with_head(self, images: EpisodeImages, tuned: object) -> EpisodeAdapter:
        assert isinstance(tuned, Tuned)
        manifest = replace(tuned.adapter.manifest, recipe=self._recipe.to_json())
        learnt = learn_tuned_head(self._recipe, tuned.known, len(images.labels))
        return EpisodeAdapter(with_head(replace(tuned.adapter, manifest=manifest), learnt), tuned.facts, tuned.queries)


class AdaptationMethod(AdapterMethod):
    """A whole run of the service for each episode: with held-out images, and the choice of `auto`."""

    def __init__(self, recipe: FinetuneRecipe, num_threads: int, shared: SharedFinetunings | None = None) -> None:
        """Remember what to run; the arguments are those of `FinetuneMethod`."""
        self._recipe, self._num_threads = recipe, num_threads
        self._shared = shared or SharedFinetunings()

    def adapters(self, episodes: Sequence[EpisodeImages]) -> list[EpisodeAdapter]:
        """Return the adapter of each episode, one after another."""
        return [self._adapter(images) for images in episodes]

    def _adapter(self, images: EpisodeImages) -> EpisodeAdapter:
        kept = self._shared.get(self._recipe, images)
        if isinstance(kept, EpisodeAdapter):
            return kept
        adaptation = Adaptation(
            images.bank.backbone,
            images.support_set(),
            self._recipe,
            images.seed,
            limits=images.bank.limits,
            num_threads=self._num_threads,
            support=images.support_features(self._recipe.prompt_template),
        )
        made = _finished(adaptation, images)
        if self._recipe.method != FROZEN:
            for head in self._shared.other_heads(self._recipe):
                other = _finished(adaptation.with_other_head(head), images)
                other = replace(other, facts={**other.facts, "shares_finetuning": True})
                tensors = (*tensors_of(other.adapter), *other.queries)
                self._shared.keep(replace(self._recipe, head=head), images, other, tensors)
        return made


def make_method(spec: MethodSpec, num_threads: int, shared: SharedFinetunings | None = None) -> EpisodeMethod:
    """Return the runner of a method.

    Args:
        spec: the method, with a known name.
        num_threads: cores to use.
        shared: what methods with other heads have trained.
    """
    return FrozenMethod(spec.name) if spec.recipe is None else make_adapter_method(spec.recipe, num_threads, shared)


def make_adapter_method(
    recipe: FinetuneRecipe, num_threads: int, shared: SharedFinetunings | None = None
) -> FinetuneMethod | AdaptationMethod:
    """Return the runner of a recipe; the other arguments are those of `make_method`."""
    runs_alone = recipe.fine_tunes and not recipe.validation_folds
    return (FinetuneMethod if runs_alone else AdaptationMethod)(recipe, num_threads, shared)


def same_but_head(one: FinetuneRecipe, other: FinetuneRecipe) -> bool:
    """Tell whether two recipes differ in nothing but their head."""
    return replace(one, head=other.head) == other


def readouts_by(adapter: Adapter, bank: ImageBank, indices: Sequence[int]) -> Readout:
    """Return what an adapter's head reads of some images; for a frozen tower, from the bank."""
    if adapter.lora.rank == 0 and adapter.prompts_JPW is None:
        return bank.readouts(indices)
    return read_for(bank.backbone, adapter, bank.decoded(indices))


def answer_queries(made: EpisodeAdapter, labels_Q: Tensor) -> Prediction:
    """Return an adapter's predictions of an episode's queries, with how often its prediction sets hold the true class."""
    labels = made.adapter.manifest.labels
    logits_QC = adapter_scores(made.adapter, made.queries)[:, : len(labels)]
    facts = made.facts | _set_facts(made, [labels[label] for label in labels_Q.tolist()])
    return Prediction(logits_QC.argmax(dim=-1), facts, logits_QC.softmax(dim=-1))


def _set_facts(made: EpisodeAdapter, true_labels: Sequence[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    scores_QR = adapter_scores(made.adapter, made.queries)
    phi_QX = head_input(Readout(*(part.cpu().float() for part in made.queries)))
    for wanted in COVERAGES:
        answered = answers(made.adapter, scores_QR, phi_QX, AnswerOptions(coverage=wanted))
        sets = [answer.prediction_set for answer in answered if answer.prediction_set is not None]
        if len(sets) < len(answered):
            continue
        num_covered = sum(label in classes for label, classes in zip(true_labels, sets, strict=True))
        facts[coverage_name(wanted)] = num_covered / len(sets)
        facts[promised_name(wanted)] = answered[0].coverage
        facts[set_size_name(wanted)] = sum(map(len, sets)) / len(sets)
    return facts


def _finished(adaptation: Adaptation, images: EpisodeImages) -> EpisodeAdapter:
    for _ in adaptation.steps():
        pass
    adapted = adaptation.finish()
    expected = adapted.metrics["expected_accuracy"]
    facts = {"tower": adapted.metrics["choice"]["tower"]}
    if expected is not None:
        facts |= {EXPECTED: expected["accuracy"], EXPECTED_LOW: expected["low"], EXPECTED_HIGH: expected["high"]}
    if adapted.finetune is not None and adapted.finetune.recipe.uses_absorption:
        facts["absorption_stopped_at"] = adapted.finetune.state.dgso.stopped_at
    return EpisodeAdapter(adapted.adapter, facts, readouts_by(adapted.adapter, images.bank, images.query))


def tensors_of(adapter: Adapter) -> list[Tensor]:
    """Return the tensors of an adapter, to know its size in memory."""
    parts = [*adapter.lora.parameters(), adapter.prototypes_CD]
    parts += [part for part in (adapter.prompts_JPW, adapter.class_means_MF) if part is not None]
    return parts if adapter.head is None else [*parts, adapter.head.weight_CX]
