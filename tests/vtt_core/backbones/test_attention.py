import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from tests.fixtures.tiny_backbones import tiny_backbone as tiny_backbone_of
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.attention import class_attention, rollout
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.backbones.timm_vision_tower import TimmVisionTower
from vtt_core.contract.errors import InputError, UnsupportedBackboneError
from vtt_core.lora.layers import TowerLora


@pytest.fixture(scope="module")
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(index) for index in range(3)]


def test_a_map_is_the_class_tokens_row_of_the_last_block(tiny_backbone: Backbone, images: list[Image.Image]) -> None:
    pixels_B3HW = preprocess(images, tiny_backbone.preprocessing)
    row_BT = tiny_backbone.vision_tower.layer_attention(pixels_B3HW)[:, -1, 0]
    maps_BGG = class_attention(tiny_backbone, images)
    assert maps_BGG.shape == (3, 2, 2)  # 32 pixels in patches of 16
    assert torch.equal(maps_BGG.flatten(1), row_BT[:, 1:])
    torch.testing.assert_close(maps_BGG.sum(dim=(1, 2)) + row_BT[:, 0], torch.ones(3))


def test_a_new_lora_changes_no_map_and_a_trained_one_does(
    tiny_backbone: Backbone, images: list[Image.Image], adapter: Adapter
) -> None:
    before = class_attention(tiny_backbone, images)
    new = TowerLora(3, 64, rank=4, scaling=2.0)
    assert torch.equal(class_attention(tiny_backbone, images, new), before)
    assert not torch.allclose(class_attention(tiny_backbone, images, adapter.lora), before)


def test_prompts_beside_an_image_take_their_share(tiny_backbone: Backbone, images: list[Image.Image]) -> None:
    prompts_JPW = torch.randn(2, 3, tiny_backbone.vision_tower.width)
    pixels_B3HW = preprocess(images, tiny_backbone.preprocessing)
    row_BT = tiny_backbone.vision_tower.layer_attention(pixels_B3HW, None, prompts_JPW)[:, -1, 0]
    assert row_BT.shape == (3, 1 + 4 + 3)
    torch.testing.assert_close(row_BT.sum(dim=1), torch.ones(3))
    maps_BGG = class_attention(tiny_backbone, images, None, prompts_JPW)
    assert torch.equal(maps_BGG.flatten(1), row_BT[:, 1:5])
    assert not torch.allclose(maps_BGG, class_attention(tiny_backbone, images))


def test_another_layer_can_be_chosen(tiny_backbone: Backbone, images: list[Image.Image]) -> None:
    first, last = (class_attention(tiny_backbone, images, layer=layer) for layer in (1, 3))
    assert torch.equal(last, class_attention(tiny_backbone, images))
    assert not torch.allclose(first, last)
    # Only blocks up to the layer are followed; the first leaves half of the class token as it was.
    torch.testing.assert_close(class_attention(tiny_backbone, images, layer=1, is_rollout=True), first / 2)


@pytest.mark.parametrize("layer", [0, 4, -1])
def test_a_layer_that_is_not_there_is_refused(tiny_backbone: Backbone, images: list[Image.Image], layer: int) -> None:
    with pytest.raises(InputError, match="from 1 to 3"):
        class_attention(tiny_backbone, images, layer=layer)


@pytest.mark.parametrize("kind", ["siglip2", "pe-core"])
class TestPoolingTowers:
    def test_the_map_is_the_poolings_own_attention(self, kind: str, images: list[Image.Image]) -> None:
        backbone = tiny_backbone_of(kind)
        tower = backbone.vision_tower
        assert isinstance(tower, TimmVisionTower)
        shares_BT = tower.pool_attention(preprocess(images, backbone.preprocessing))
        assert shares_BT is not None
        maps_BGG = class_attention(backbone, images)
        assert maps_BGG.shape == (3, 4, 4)  # 32 pixels in patches of 8
        assert torch.equal(maps_BGG.flatten(1), shares_BT[:, -16:])

    def test_a_lora_changes_it_and_a_new_one_does_not(self, kind: str, images: list[Image.Image]) -> None:
        backbone = tiny_backbone_of(kind)
        tower = backbone.vision_tower
        lora, before = TowerLora(tower.num_layers, tower.width, rank=2, scaling=2.0), class_attention(backbone, images)
        assert torch.equal(class_attention(backbone, images, lora), before)
        with torch.no_grad():
            lora.lora_B.normal_()
        assert not torch.allclose(class_attention(backbone, images, lora), before)

    @pytest.mark.parametrize("options", [{"layer": 1}, {"is_rollout": True}])
    def test_no_layer_can_be_chosen(self, kind: str, images: list[Image.Image], options: dict[str, Any]) -> None:
        with pytest.raises(UnsupportedBackboneError, match="pooled after the last layer"):
            class_attention(tiny_backbone_of(kind), images, **options)


def test_a_tower_that_pools_without_attention_is_refused(images: list[Image.Image]) -> None:
    siglip = tiny_backbone_of("siglip2")
    pooled = Backbone("pooled", copy.deepcopy(siglip.clip), siglip.tokenize, siglip.preprocessing)
    pooled.clip.visual.trunk.attn_pool = None
    with pytest.raises(UnsupportedBackboneError, match="neither"):
        class_attention(pooled, images)


class TestRollout:
    def test_two_blocks_by_hand(self) -> None:
        # Each block: [[.75, .25], [0, 1]] after the residual half; squared, the first row is [.5625, .4375].
        layer_TT = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        reach_BTT = rollout(layer_TT.expand(1, 2, 2, 2))
        torch.testing.assert_close(reach_BTT, torch.tensor([[[0.5625, 0.4375], [0.0, 1.0]]]))

    def test_later_blocks_stand_on_the_left(self) -> None:
        first_TT, second_TT = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
        same_TT = torch.eye(2)
        expected_TT = (second_TT + same_TT) / 2 @ ((first_TT + same_TT) / 2)
        torch.testing.assert_close(rollout(torch.stack((first_TT, second_TT))[None])[0], expected_TT)

    def test_rows_still_sum_to_one(self) -> None:
        attention_BLTT = torch.rand(2, 4, 5, 5).softmax(dim=-1)
        torch.testing.assert_close(rollout(attention_BLTT).sum(dim=-1), torch.ones(2, 5))
