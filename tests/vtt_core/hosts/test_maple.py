from collections.abc import Callable

import pytest
import torch

from tests.vtt_core.hosts.conftest import Setting
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import PromptError
from vtt_core.contract.recipe import make_recipe
from vtt_core.hosts.host import Host
from vtt_core.hosts.maple import MaPLe
from vtt_core.hosts.training_data import Batch, TrainingData


def test_the_first_blocks_tokens_start_as_the_templates_words(make_setting: Callable[..., Setting]) -> None:
    data, host, _ = make_setting("maple", prompt_depth=1)
    torch.testing.assert_close(host.text_layers(data), data.text_CLD, rtol=1e-12, atol=1e-12)


def test_visual_tokens_are_made_from_the_text_towers(make_setting: Callable[..., Setting]) -> None:
    _, host, _ = make_setting("maple")
    assert isinstance(host, MaPLe)
    visual_JPW = host.visual_prompts()
    assert visual_JPW.shape == (2, 2, 64)
    for block in range(2):
        expected_PW = host.prompts_JPU[block] @ host.coupling_JWU[block].t() + host.coupling_bias_J1W[block]
        torch.testing.assert_close(visual_JPW[block], expected_PW)


def test_images_are_read_beside_them(
    make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch]
) -> None:
    data, host, _ = make_setting("maple")
    batch = batch_of(data, host)
    images, tower = data.views_V3HW[batch.views_B], data.backbone.vision_tower
    with torch.no_grad():
        served_BD = tower.features(images, prompts_JPW=host.visual_prompts())
    torch.testing.assert_close(host.vision_layers(data, batch)[:, -1], served_BD, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(served_BD, tower.features(images))


def test_the_depth_is_that_of_the_shallower_tower_at_most(tiny_backbone: Backbone) -> None:
    assert len(MaPLe(tiny_backbone, ["dog", "cat"], make_recipe("maple")).visual_prompts()) == 3


def test_a_template_without_words_to_replace_is_refused(tiny_backbone: Backbone) -> None:
    recipe = make_recipe("maple", changes={"prompt_template": "{} on a photo"})
    with pytest.raises(PromptError, match="at least 2 words before the label"):
        MaPLe(tiny_backbone, ["dog", "cat"], recipe)
