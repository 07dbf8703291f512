"""The first stage of `mini`: captions end up where their phrases were said to lie."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional

from vtt_core.backbones.mini.corpus import PROMPTS
from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.mini.recipe import PretrainRecipe
from vtt_core.backbones.mini.text_stage import encode_text, teach_text
from vtt_core.backbones.open_clip_import import open_clip

pytestmark = pytest.mark.usefixtures("small_towers")
PHRASES = ["cat", "dog", "red fish", "river"]
RECIPE = PretrainRecipe(text_steps=60, text_batch_size=16, text_learning_rate=3e-3)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return build_mini()


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.eye(32)[: len(PHRASES)]


def test_captions_move_to_the_direction_of_their_phrase(model: Any, targets: torch.Tensor) -> None:
    losses = list(teach_text(model, PHRASES, targets, 2, RECIPE))
    assert losses[-1] < 0.5 * losses[0]
    tokens = open_clip.SimpleTokenizer()([PROMPTS[0].format(phrase) for phrase in PHRASES])
    cosine = functional.normalize(encode_text(model, tokens), dim=-1) @ targets.T
    assert cosine.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_the_same_seed_teaches_the_same_and_leaves_the_vision_tower_alone(model: Any, targets: torch.Tensor) -> None:
    other, before = copy.deepcopy(model), copy.deepcopy(model.visual.state_dict())
    short = PretrainRecipe(text_steps=3, text_batch_size=8)
    assert list(teach_text(model, PHRASES, targets, 2, short)) == list(teach_text(other, PHRASES, targets, 2, short))
    assert all(torch.equal(value, before[name]) for name, value in model.visual.state_dict().items())


def test_encoding_without_padding_equals_open_clips(model: Any) -> None:
    tokens = open_clip.SimpleTokenizer()(["a photo of a cat.", "a blurry photo of a golden retriever."])
    with torch.no_grad():
        torch.testing.assert_close(encode_text(model, tokens), model.encode_text(tokens), rtol=1e-4, atol=1e-5)
