"""The methods: each does on an episode what its parts do by hand, alone or with others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.benchmark.episodes import Protocol, draw_episodes
from vtt_core.benchmark.image_bank import ImageBank
from vtt_core.benchmark.method_spec import MethodSpec
from vtt_core.benchmark.methods import FROZEN, EpisodeImages, FinetuneMethod, make_method
from vtt_core.classify import classify, image_features, unprojected_features, zero_shot_prototypes
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.finetune import Finetune
from vtt_core.linear_probe import probe_predictions
from vtt_core.strip import strip


@pytest.fixture
def episodes(bank: ImageBank) -> list[EpisodeImages]:
    protocol = Protocol(way=3, shot=2, num_queries=2, num_episodes=3, seed=1)
    return [
        EpisodeImages(bank, episode, number, protocol.seed)
        for number, episode in enumerate(draw_episodes(bank.class_I, protocol, bank.group_I))
    ]


def test_the_support_set_holds_the_episodes_images_under_its_labels(bank: ImageBank, episodes: list[EpisodeImages]) -> None:
    images = episodes[0]
    support_set = images.support_set()
    assert support_set.labels == images.labels
    names = [image.name for support_class in support_set.classes for image in support_class.images]
    assert names == [bank.images[index].name for index in images.support]
    assert all(
        name.startswith(f"{label}/")
        for name, label in zip(names, [label for label in images.labels for _ in range(2)], strict=True)
    )


def test_each_episode_has_its_own_seed(episodes: list[EpisodeImages]) -> None:
    assert len({images.seed for images in episodes}) == 3


def test_frozen_methods_say_what_their_parts_say(
    tiny_backbone: Backbone, bank: ImageBank, episodes: list[EpisodeImages]
) -> None:
    for images, zero_shot, probe in zip(
        episodes,
        make_method(MethodSpec("zero-shot", "zero-shot", None), 1).predict(episodes),
        make_method(MethodSpec("linear-probe", "linear-probe", None), 1).predict(episodes),
        strict=True,
    ):
        support, query = bank.decoded(images.support), bank.decoded(images.query)
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


def test_every_frozen_method_can_be_made() -> None:
    assert set(FROZEN) >= {"zero-shot", "linear-probe"}
