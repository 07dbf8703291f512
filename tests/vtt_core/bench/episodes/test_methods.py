"""Each method gives the same results as its parts by hand, alone or with several episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch

from vtt_core.adapter.classify import classify, image_features, unprojected_features, zero_shot_prototypes
from vtt_core.adapter.linear_probe import probe_predictions
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.registry import BASELINES
from vtt_core.bench.episodes.adapter_methods import FinetuneMethod, make_method
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.method_spec import MethodSpec
from vtt_core.contract.recipe import METHODS, FinetuneRecipe
from vtt_core.training.finetune import Finetune


def test_frozen_methods_say_what_their_parts_say(
    tiny_backbone: Backbone, bank: ImageBank, episodes: list[EpisodeImages]
) -> None:
    for images, zero_shot, probe in zip(
        episodes,
        make_method(MethodSpec("zero-shot", "zero-shot", None), 1).predict(episodes),
        make_method(MethodSpec("linear-probe", "linear-probe", None), 1).predict(episodes),
        strict=True,
    ):
        support, query = list(bank.decoded(images.support)), list(bank.decoded(images.query))
        prototypes_CD = zero_shot_prototypes(tiny_backbone, images.labels, "a photo of a {}.")
        scores_QC = image_features(tiny_backbone, query) @ prototypes_CD.t()
        assert zero_shot.predicted_Q.tolist() == scores_QC.argmax(dim=-1).tolist()
        expected = probe_predictions(
            unprojected_features(tiny_backbone, support),
            images.episode.support_labels_S,
            unprojected_features(tiny_backbone, query),
            3,
        )
        assert probe.predicted_Q.tolist() == expected.tolist()


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


def test_episodes_worked_on_together_are_those_worked_on_alone(
    episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    method = FinetuneMethod(make_recipe(), 1)
    alone = [method.predict([images])[0] for images in episodes]
    for one, other in zip(alone, method.predict(episodes), strict=True):
        assert torch.equal(one.predicted_Q, other.predicted_Q)
        assert one.facts["first_conflict_cosine"] == pytest.approx(other.facts["first_conflict_cosine"], abs=1e-4)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_every_baseline_says_what_it_says_without_the_bank(name: str, episodes: list[EpisodeImages]) -> None:
    images = episodes[2]
    by_bank = images.task
    alone = FewShotTask(**{known.name: getattr(by_bank, known.name) for known in fields(FewShotTask)})
    (prediction,) = make_method(MethodSpec(name, name, None), 1).predict([images])
    assert torch.equal(prediction.predicted_Q, BASELINES[name](alone, images.seed).argmax(dim=-1))


@pytest.mark.parametrize("name", METHODS)
def test_every_finetuning_runs_alone_and_together(
    name: str, episodes: list[EpisodeImages], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    method = FinetuneMethod(make_recipe(method=name, iterations=2), 1)
    alone = [method.predict([images])[0] for images in episodes[:2]]
    together = method.predict(episodes[:2])
    assert [prediction.predicted_Q.tolist() for prediction in together] == [one.predicted_Q.tolist() for one in alone]
