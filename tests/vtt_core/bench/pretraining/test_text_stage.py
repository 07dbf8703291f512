"""The text stage of `mini`: captions move to the targets of their phrases."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.bench.pretraining.phrases import PROMPTS, Phrases
from vtt_core.bench.pretraining.recipe import PretrainRecipe
from vtt_core.bench.pretraining.side_by_side import SideBySide
from vtt_core.bench.pretraining.text_stage import draw_captions, measure_unseen, spread_lengths, teach_text

pytestmark = [pytest.mark.usefixtures("small_towers"), pytest.mark.slow]
PHRASES = Phrases(names=("cat", "dog"), words=("red fish", "river"))
RECIPE = PretrainRecipe(text_steps=60, naming_steps=0, text_batch_size=16, text_learning_rate=3e-3)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return build_mini()


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.eye(32)[: len(PHRASES.all)]


def test_captions_move_to_the_direction_of_their_phrase(model: Any, targets: torch.Tensor) -> None:
    losses = list(teach_text(model, PHRASES, targets, RECIPE, SideBySide(2)))
    assert losses[-1] < 0.5 * losses[0]
    tokens = open_clip.SimpleTokenizer()([PROMPTS[0].format(phrase) for phrase in PHRASES.all])
    cosine = functional.normalize(model.encode_text(tokens), dim=-1) @ targets.T
    assert cosine.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_a_second_round_teaches_the_names_again(model: Any, targets: torch.Tensor) -> None:
    names = Phrases(tuple(f"name {number}" for number in range(8)), tuple(f"word {number}" for number in range(8)))
    places = torch.eye(32)[: len(names.all)]
    list(teach_text(model, names, places, replace(RECIPE, text_steps=5), SideBySide(1)))
    before = copy.deepcopy(model)
    losses = list(teach_text(model, names, places, replace(RECIPE, text_steps=0, naming_steps=40), SideBySide(1)))
    assert len(losses) == 40
    tokens = open_clip.SimpleTokenizer()([PROMPTS[0].format(name) for name in names.names])
    old, new = (functional.normalize(each.encode_text(tokens), dim=-1) * places[:8] for each in (before, model))
    assert new.sum(dim=1).mean() > old.sum(dim=1).mean() + 0.1


def test_the_same_seed_teaches_the_same_and_leaves_the_vision_tower_alone(model: Any, targets: torch.Tensor) -> None:
    other, before = copy.deepcopy(model), copy.deepcopy(model.visual.state_dict())
    short = PretrainRecipe(text_steps=3, naming_steps=2, text_batch_size=8)
    losses = [list(teach_text(taught, PHRASES, targets, short, SideBySide(2))) for taught in (model, other)]
    assert losses[0] == losses[1]
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in model.visual.state_dict().items())


def test_nouns_that_were_not_taught_are_measured_by_how_near_their_own_place_they_come(model: Any) -> None:
    nouns = tuple(f"cat {number}" for number in range(100))
    phrases = Phrases(("dog",), ("river",), nouns)
    tokens = open_clip.SimpleTokenizer()([PROMPTS[0].format(phrase) for phrase in phrases.all])
    with torch.no_grad():
        own_places = functional.normalize(model.encode_text(tokens), dim=-1)
    perfect = measure_unseen(model, phrases, own_places)
    assert perfect == {"unseen_nouns": 2, "unseen_top1": 1.0, "unseen_cosine": pytest.approx(1.0, abs=1e-5)}
    assert measure_unseen(model, phrases, -own_places)["unseen_top1"] == 0.0


def test_parts_of_a_batch_are_alike_and_ordered_by_length() -> None:
    tokens = torch.zeros(7, 10, dtype=torch.int64)
    ends = [9, 2, 5, 2, 7, 3, 4]
    tokens[torch.arange(7), torch.tensor(ends)] = 1
    order = spread_lengths(tokens, 2)
    assert [ends[row] for row in order.tolist()] == [2, 3, 5, 9, 2, 4, 7]


class TestDrawing:
    phrases = Phrases(("cat", "dog"), ("red", "blue", "green"), ("pill bottle",), ("a fungal disease of leaves",))

    def test_a_caption_is_a_prompt_with_its_phrase_or_a_gloss_alone(self) -> None:
        for seed in range(20):
            for index, caption in zip(*draw_captions(self.phrases, 16, seed), strict=True):
                phrase = self.phrases.all[index]
                assert caption in ({phrase} if index == 6 else {prompt.format(phrase) for prompt in PROMPTS})

    def test_every_phrase_is_drawn_and_none_twice_in_a_batch(self) -> None:
        draws = [draw_captions(self.phrases, 16, seed)[0] for seed in range(20)]
        assert {index for chosen in draws for index in chosen} == set(range(7))
        assert all(len(set(chosen)) == len(chosen) for chosen in draws)

    def test_kinds_that_are_not_taught_are_not_drawn(self) -> None:
        chosen = {
            index for seed in range(20) for index in draw_captions(self.phrases, 16, seed, {"words": 0.2, "glosses": 0.1})[0]
        }
        assert chosen == {2, 3, 4, 6}

    def test_one_noun_of_fifty_is_never_drawn(self) -> None:
        nouns = tuple(f"noun{number}" for number in range(100))
        phrases = Phrases(("cat",), ("red",), nouns)
        chosen = {index for seed in range(40) for index in draw_captions(phrases, 200, seed)[0]}
        assert set(range(102)) - chosen == {2 + 49, 2 + 99}

    def test_the_share_of_absent_kinds_is_divided_among_the_others(self) -> None:
        words = tuple(f"word{number}" for number in range(10_000))
        chosen, _ = draw_captions(Phrases(("cat",), words), 400, 0)
        assert len(chosen) == pytest.approx(1 + 400 * 0.2 / 0.45, abs=5)
