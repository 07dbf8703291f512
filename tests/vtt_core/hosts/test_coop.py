from collections.abc import Callable

import pytest
import torch

from tests.vtt_core.hosts.conftest import Setting
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import PromptError
from vtt_core.contract.recipe import make_recipe
from vtt_core.hosts.coop import CoOp
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData


def test_words_to_start_from_give_their_prompt(make_setting: Callable[..., Setting]) -> None:
    data, host, recipe = make_setting("coop", num_context_tokens=4, context_words="a photo of a")
    assert recipe.prompt_template == "a photo of a {}."
    torch.testing.assert_close(host.text_layers(data), data.text_CLD, rtol=1e-12, atol=1e-12)


def test_vectors_stand_before_the_label(make_setting: Callable[..., Setting]) -> None:
    data, host, _ = make_setting("coop", num_context_tokens=3)
    assert isinstance(host, CoOp)
    tower = data.backbone.text_tower
    tokens_CT = tower.cut_padding(data.backbone.tokenize(["x x x annual crop.", "x x x river.", "x x x forest."]))
    embeddings_CTW = tower.embed(tokens_CT)
    embeddings_CTW[:, 1:4] = host.context_PW.detach()
    expected = tower.layer_features_of_embeddings(embeddings_CTW, tower.end_of(tokens_CT))
    torch.testing.assert_close(host.text_layers(data), expected, rtol=1e-12, atol=1e-12)


def test_the_vision_tower_runs_once_for_all_steps(
    make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, host, _ = make_setting("coop")
    tower, calls = data.backbone.vision_tower, []
    run = tower.layer_features
    monkeypatch.setattr(tower, "layer_features", lambda images: calls.append(len(images)) or run(images))
    for _ in range(3):
        host.vision_layers(data, batch_of(data, host))
    assert calls == [len(data.labels_V)]


def test_more_words_than_vectors_are_refused(tiny_backbone: Backbone) -> None:
    recipe = make_recipe("coop", changes={"num_context_tokens": 3, "context_words": "a photo of a"})
    with pytest.raises(PromptError, match="at most 3 tokens, got 4 in 'a photo of a'"):
        CoOp(tiny_backbone, ["dog", "cat"], recipe)
