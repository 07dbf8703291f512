from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.towers import block_attention, run_block
from vtt_core.lora.layers import TowerLora

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(scope="module", params=[False, True], ids=["gelu", "quick_gelu"])
def backbone(
    request: pytest.FixtureRequest, make_backbone: Callable[..., Backbone], in_float64: Callable[[Backbone], Backbone]
) -> Backbone:
    return in_float64(make_backbone(vision_layers=4, text_layers=2, quick_gelu=request.param))


@pytest.fixture
def tower(backbone: Backbone) -> ClipVisionTower:
    assert isinstance(backbone.vision_tower, ClipVisionTower)
    return backbone.vision_tower


@pytest.fixture
def images_B3HW(backbone: Backbone) -> Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(3, 3, side, side, dtype=torch.float64)


def test_the_last_layer_is_the_models_own_image_feature(backbone: Backbone, images_B3HW: Tensor) -> None:
    expected = backbone.clip.encode_image(images_B3HW)
    torch.testing.assert_close(backbone.vision_tower.layer_features(images_B3HW)[:, -1], expected, **EXACT)
    torch.testing.assert_close(backbone.vision_tower.features(images_B3HW), expected, **EXACT)
    unprojected_BW = backbone.vision_tower.unprojected_features(images_B3HW)
    torch.testing.assert_close(unprojected_BW @ backbone.clip.visual.proj, expected, **EXACT)


def test_every_layer_is_the_class_token_through_the_final_norm_and_projection(backbone: Backbone, images_B3HW: Tensor) -> None:
    visual, outputs = backbone.clip.visual, []
    hooks = [
        block.register_forward_hook(lambda _block, _inputs, output: outputs.append(output))
        for block in visual.transformer.resblocks
    ]
    backbone.clip.encode_image(images_B3HW)
    for hook in hooks:
        hook.remove()
    expected = torch.stack([visual.ln_post(output[:, 0]) @ visual.proj for output in outputs], dim=1)
    torch.testing.assert_close(backbone.vision_tower.layer_features(images_B3HW), expected, **EXACT)


def test_sizes_are_those_of_the_configuration(backbone: Backbone) -> None:
    tower = backbone.vision_tower
    assert (tower.num_layers, tower.width, tower.joint_size) == (4, 64, 64)


def test_an_image_is_read_beside_the_prompts_of_each_depth(
    backbone: Backbone, tower: ClipVisionTower, images_B3HW: Tensor
) -> None:
    prompts_JPW = torch.randn(2, 3, tower.width, dtype=torch.float64)
    x_BTW, num_tokens = tower.embed(images_B3HW), tower.num_tokens
    first_PW = backbone.clip.visual.ln_pre(prompts_JPW[0])
    x_BTW = run_block(tower.blocks[0], torch.cat((x_BTW, first_PW.expand(3, -1, -1)), dim=1), is_causal=False)
    x_BTW = torch.cat((x_BTW[:, :num_tokens], prompts_JPW[1].expand(3, -1, -1)), dim=1)
    for block in tower.blocks[1:]:
        x_BTW = run_block(block, x_BTW, is_causal=False)
    expected_BD = tower.project(x_BTW[:, 0])
    torch.testing.assert_close(tower.features(images_B3HW, prompts_JPW=prompts_JPW), expected_BD, **EXACT)
    layers_BLD = tower.layer_features(images_B3HW, prompts_JPW=prompts_JPW)
    torch.testing.assert_close(layers_BLD[:, -1], expected_BD, **EXACT)


class TestAttention:
    def test_it_is_what_torchs_own_attention_computes(self, backbone: Backbone) -> None:
        block = backbone.clip.visual.transformer.resblocks[0]
        x_BTW = torch.randn(2, 5, 64, dtype=torch.float64)
        normed_BTW = block.ln_1(x_BTW)
        _, expected_BHTT = block.attn(normed_BTW, normed_BTW, normed_BTW, average_attn_weights=False)
        torch.testing.assert_close(block_attention(block, x_BTW), expected_BHTT, **EXACT)

    def test_every_token_reads_shares_that_sum_to_one(self, tower: ClipVisionTower, images_B3HW: Tensor) -> None:
        attention_BLTT = tower.layer_attention(images_B3HW)
        assert attention_BLTT.shape == (3, tower.num_layers, tower.num_tokens, tower.num_tokens)
        assert attention_BLTT.min() >= 0
        sums_BLT = attention_BLTT.sum(dim=-1)
        torch.testing.assert_close(sums_BLT, torch.ones_like(sums_BLT), **EXACT)

    def test_a_lora_equals_merged_weights(
        self,
        backbone: Backbone,
        tower: ClipVisionTower,
        images_B3HW: Tensor,
        in_float64: Callable[[Backbone], Backbone],
    ) -> None:
        lora, merged = TowerLora(4, 64, rank=2, scaling=2.0).double(), in_float64(backbone)
        with torch.no_grad():
            lora.lora_B.normal_()
            for index, block in enumerate(merged.vision_tower.blocks):
                block.attn.in_proj_weight += lora.layer(index).delta()
        assert isinstance(merged.vision_tower, ClipVisionTower)
        changed = tower.layer_attention(images_B3HW, lora)
        torch.testing.assert_close(changed, merged.vision_tower.layer_attention(images_B3HW), rtol=1e-10, atol=1e-10)
        assert not torch.allclose(changed, tower.layer_attention(images_B3HW))
