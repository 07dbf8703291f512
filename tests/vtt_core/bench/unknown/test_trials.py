"""Shares of rejected and accepted images are those of the answers, and what cannot be measured is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.episodes.adapter_methods import make_adapter_method
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes
from vtt_core.bench.unknown.generated_images import generated_images
from vtt_core.bench.unknown.trials import SAME, OutSet, Trial, auroc, run_trials
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe


@pytest.fixture
def noise(tiny_backbone: Backbone) -> OutSet:
    return OutSet("noise", ImageBank(generated_images("noise", 8), tiny_backbone))


def trials(episodes: list[EpisodeImages], *out_sets: OutSet, false_rejects: float = 0.05) -> list[Trial]:
    return list(run_trials(make_adapter_method(make_recipe("frozen"), 1), iter(episodes), out_sets, false_rejects, 6))


def test_every_episode_gives_shares_of_every_set(episodes: list[EpisodeImages], noise: OutSet) -> None:
    found = trials(episodes, noise, OutSet(SAME, None))
    assert [trial.episode for trial in found] == [0, 1, 2]
    for trial in found:
        assert set(trial.false_accepts) == set(trial.auroc) == {"noise", SAME}
        shares = [trial.accuracy, trial.false_rejects, *trial.false_accepts.values(), *trial.auroc.values()]
        assert all(0 <= share <= 1 for share in shares)
    assert trials(episodes, noise, OutSet(SAME, None)) == found


def test_more_false_rejects_are_fewer_false_accepts(episodes: list[EpisodeImages], noise: OutSet) -> None:
    strict, lax = trials(episodes, noise, false_rejects=0.4), trials(episodes, noise, false_rejects=0.001)
    for one, other in zip(strict, lax, strict=True):
        assert one.false_rejects >= other.false_rejects
        assert one.false_accepts["noise"] <= other.false_accepts["noise"]
        assert one.auroc == other.auroc


def test_other_classes_are_no_class_of_the_episode(episodes: list[EpisodeImages]) -> None:
    bank, indices = OutSet(SAME, None).draw(episodes[0], 100)
    assert bank is episodes[0].bank
    assert len(indices) == 6
    assert {bank.class_I[index] for index in indices}.isdisjoint(episodes[0].episode.classes)


def test_each_episode_draws_its_own_images(episodes: list[EpisodeImages], noise: OutSet) -> None:
    drawn = [tuple(noise.draw(images, 4)[1]) for images in episodes]
    assert len(set(drawn)) > 1
    assert all(len(set(indices)) == 4 for indices in drawn)


def test_without_other_classes_it_is_refused(bank: ImageBank) -> None:
    protocol = Protocol(way=4, shot=2, num_queries=2, num_episodes=1, seed=1)
    [episode] = draw_episodes(bank.class_I, protocol)
    with pytest.raises(InputError, match="more than 4 classes"):
        OutSet(SAME, None).draw(EpisodeImages(bank, episode, 0, 1), 5)


def test_a_method_that_holds_nothing_out_is_refused(
    episodes: list[EpisodeImages], noise: OutSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    method = make_adapter_method(make_recipe(method="clip-lora", iterations=1), 1)
    with pytest.raises(InputError, match="validation_folds=2"):
        list(run_trials(method, iter(episodes[:1]), [noise], 0.05, 4))


def test_auroc_is_the_share_of_pairs_worked_out_by_hand() -> None:
    assert auroc([3.0, 2.0], [1.0, 2.0]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auroc([1.0], [0.0]) == 1.0


VALUES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8)


@given(VALUES, VALUES)
def test_auroc_the_other_way_round_is_the_rest(known: list[float], other: list[float]) -> None:
    assert auroc(known, other) + auroc(other, known) == pytest.approx(1)
