"""Methods that make adapters: alone or together they say what their parts say, and heads share what is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.classify import classify
from vtt_core.adapter.strip import strip
from vtt_core.bench.episodes import adapter_methods
from vtt_core.bench.episodes.adapter_methods import (
    AdaptationMethod,
    FinetuneMethod,
    SharedFinetunings,
    answer_queries,
    make_adapter_method,
)
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.recipe import METHODS, FinetuneRecipe
from vtt_core.contract.recipe import make_recipe as recipe_of
from vtt_core.training.finetune import Finetune

HEADS = ("text", "ridge", "sum")


def with_heads(recipe: FinetuneRecipe) -> list[FinetuneRecipe]:
    return [replace(recipe, head=head) for head in HEADS]  # type: ignore[arg-type]


def watched(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[Any]:
    """Count the calls of a function."""
    calls: list[Any] = []
    original = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_finetuning_says_what_its_adapter_says(
    bank: ImageBank, episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    recipe, images = make_recipe(conflict_window=2), episodes[1]
    finetune = Finetune(bank.backbone, images.support_set(), recipe, images.seed, num_threads=1)
    cosines = [report.conflict_cosine for report in finetune.steps()]
    expected = classify(bank.backbone, strip(finetune), bank.decoded(images.query)).argmax(dim=-1)
    (prediction,) = FinetuneMethod(recipe, 1).predict([images])
    assert torch.equal(prediction.predicted_Q, expected)
    assert prediction.facts["absorption_stopped_at"] == finetune.state.dgso.stopped_at
    assert cosines[0] is not None
    assert cosines[1] is not None
    assert prediction.facts["first_conflict_cosine"] == pytest.approx((cosines[0] + cosines[1]) / 2)


def test_without_vtt_there_are_no_facts(episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]) -> None:
    (prediction,) = FinetuneMethod(make_recipe(method="clip-lora"), 1).predict(episodes[:1])
    assert prediction.facts == {}


@pytest.mark.slow
def test_episodes_worked_on_together_are_those_worked_on_alone(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    method = FinetuneMethod(make_recipe(), 1)
    alone = [method.predict([images])[0] for images in episodes]
    for one, other in zip(alone, method.predict(episodes), strict=True):
        assert torch.equal(one.predicted_Q, other.predicted_Q)
        assert one.facts["first_conflict_cosine"] == pytest.approx(other.facts["first_conflict_cosine"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_finetuning_runs_alone_and_together(
    name: str, episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    method = FinetuneMethod(make_recipe(method=name, iterations=2), 1)
    alone = [method.predict([images])[0] for images in episodes[:2]]
    together = method.predict(episodes[:2])
    assert [prediction.predicted_Q.tolist() for prediction in together] == [one.predicted_Q.tolist() for one in alone]


@pytest.mark.slow
def test_heads_of_one_finetuning_share_it_and_change_nothing(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = with_heads(make_recipe(iterations=2))
    alone = [FinetuneMethod(recipe, 1).predict(episodes[:2]) for recipe in recipes]
    calls = watched(monkeypatch, adapter_methods, "finetune_all")
    shared = SharedFinetunings(recipes)
    together = [FinetuneMethod(recipe, 1, shared).predict(episodes[:2]) for recipe in recipes]
    assert len(calls) == 1
    for one, other in zip(sum(alone, []), sum(together, []), strict=True):
        assert torch.equal(one.probabilities_QC, other.probabilities_QC)
        assert other.facts.items() >= one.facts.items()
    assert "shares_finetuning" not in together[0][0].facts
    assert together[1][0].facts["shares_finetuning"] is True


def test_only_the_episodes_that_no_head_has_trained_are_trained(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = with_heads(make_recipe(iterations=2))
    shared = SharedFinetunings(recipes)
    FinetuneMethod(recipes[0], 1, shared).predict(episodes[1:2])
    calls = watched(monkeypatch, adapter_methods, "finetune_all")
    predictions = FinetuneMethod(recipes[1], 1, shared).predict(episodes)
    assert [[images.number for images in call[0]] for call in calls] == [[0, 2]]
    assert [prediction.facts.get("shares_finetuning") for prediction in predictions] == [None, True, None]


@pytest.mark.slow
def test_a_validated_finetuning_is_shared_too(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = with_heads(make_recipe(iterations=2, validation_folds=2, validation_iterations=2))
    alone = [AdaptationMethod(recipe, 1).predict(episodes[:1])[0] for recipe in recipes]
    calls = watched(monkeypatch, adapter_methods, "Adaptation")
    shared = SharedFinetunings(recipes)
    together = [AdaptationMethod(recipe, 1, shared).predict(episodes[:1])[0] for recipe in recipes]
    assert len(calls) == 1
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.probabilities_QC, other.probabilities_QC)
        assert other.facts.items() >= one.facts.items()


def test_frozen_says_what_the_service_says(bank: ImageBank, episodes: list[EpisodeImages]) -> None:
    recipe, images = recipe_of("frozen"), episodes[1]
    adapted = Adaptation(bank.backbone, images.support_set(), recipe, images.seed, num_threads=1)
    expected = adapted.finish()
    probabilities_QC = classify(bank.backbone, expected.adapter, bank.decoded(images.query))
    [prediction] = make_adapter_method(recipe, 1).predict([images])
    assert prediction.probabilities_QC is not None
    assert torch.allclose(prediction.probabilities_QC, probabilities_QC, atol=1e-4)
    stated = expected.metrics["expected_accuracy"]
    assert [prediction.facts[f"expected_{name}"] for name in ("accuracy", "low", "high")] == [
        stated["accuracy"],
        stated["low"],
        stated["high"],
    ]


def test_coverage_is_the_share_of_sets_with_the_true_class(episodes: list[EpisodeImages]) -> None:
    images = episodes[0]
    [made] = AdaptationMethod(recipe_of("frozen"), 1).adapters([images])
    labels_Q = images.episode.query_labels_Q
    facts = answer_queries(made, labels_Q).facts
    assert facts["promised_0.8"] == pytest.approx(0.8)
    assert facts["promised_0.95"] == pytest.approx(6 / 7), "six support images cannot promise more"
    assert facts["coverage_0.8"] <= facts["coverage_0.9"] <= facts["coverage_0.95"]
    assert 1 <= facts["set_size_0.8"] <= facts["set_size_0.95"] <= 3
    # A class is in every set or in none of its images' sets if all labels are its own.
    shares = [answer_queries(made, torch.full_like(labels_Q, label)).facts["coverage_0.9"] for label in range(3)]
    assert sum(shares) == pytest.approx(facts["set_size_0.9"])


def test_without_held_out_images_there_are_no_sets(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    [prediction] = FinetuneMethod(make_recipe(method="clip-lora", iterations=2, head="sum"), 1).predict(episodes[:1])
    assert prediction.facts == {}
    assert prediction.probabilities_QC is not None


@pytest.mark.slow
def test_auto_runs(episodes: list[EpisodeImages]) -> None:
    changes = {"iterations": 2, "validation_iterations": 2, "batch_size": 4, "rank": 4}
    [prediction] = make_adapter_method(recipe_of("auto", changes=changes), 1).predict(episodes[:1])
    assert prediction.facts["tower"] in ("frozen", "fine-tuned")
    assert 0 <= prediction.facts["expected_accuracy"] <= 1
