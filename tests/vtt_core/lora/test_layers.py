import copy
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import Backbone
from vtt_core.lora.layers import PROJECTIONS, AttentionLora, LoraLinear, TowerLora


def lora_for(backbone: Backbone, *, changed: bool) -> TowerLora:
    tower = backbone.vision_tower
    lora = TowerLora(tower.num_layers, tower.width, rank=4, scaling=2.0, dropout=0.25).to(backbone.dtype)
    if changed:
        with torch.no_grad():
            for name, parameter in lora.named_parameters():
                if name.endswith("lora_B"):
                    parameter.normal_()
    return lora


def random_images(backbone: Backbone, count: int = 3) -> Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(count, 3, side, side, dtype=backbone.dtype)


class TestAtStart:
    def test_a_new_lora_changes_no_bit(self, tiny_backbone: Backbone) -> None:
        images, tower = random_images(tiny_backbone), tiny_backbone.vision_tower
        assert torch.equal(tower.layer_features(images, lora_for(tiny_backbone, changed=False)), tower.layer_features(images))

    def test_neither_does_it_with_dropout(self, tiny_backbone: Backbone) -> None:
        images, tower = random_images(tiny_backbone), tiny_backbone.vision_tower
        with_dropout = tower.layer_features(images, lora_for(tiny_backbone, changed=False), torch.Generator())
        assert torch.equal(with_dropout, tower.layer_features(images))

    def test_a_is_kaiming_uniform_and_b_zero(self) -> None:
        layer = LoraLinear(64, rank=16, scaling=2.0, dropout=0.0)
        bound = 1 / math.sqrt(64)  # gain sqrt(2 / (1 + 5)) times sqrt(3 / fan_in)
        assert bound * 0.95 < layer.lora_A.abs().max().item() <= bound
        assert not layer.lora_B.any()


class TestMerged:
    def test_merged_weights_give_what_the_low_rank_layers_give(self, tiny_backbone_float64: Backbone) -> None:
        backbone, images = tiny_backbone_float64, random_images(tiny_backbone_float64)
        lora = lora_for(backbone, changed=True)
        merged_clip = copy.deepcopy(backbone.clip)
        with torch.no_grad():
            for index, block in enumerate(merged_clip.visual.transformer.resblocks):
                block.attn.in_proj_weight += lora.layer(index).delta()
        merged = Backbone("merged", merged_clip, backbone.tokenize, backbone.preprocessing)
        unmerged_BLD = backbone.vision_tower.layer_features(images, lora)
        torch.testing.assert_close(merged.vision_tower.layer_features(images), unmerged_BLD, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(unmerged_BLD, backbone.vision_tower.layer_features(images))

    def test_the_packed_change_holds_q_then_k_then_v(self) -> None:
        lora = AttentionLora(8, rank=2, scaling=3.0, dropout=0.0).double()
        for name in PROJECTIONS:
            torch.nn.init.normal_(getattr(lora, name).lora_B)
        x_BTW = torch.randn(2, 5, 8, dtype=torch.float64)
        thirds = lora(x_BTW, None).chunk(3, dim=-1)
        for name, third, delta in zip(PROJECTIONS, thirds, lora.delta().chunk(3), strict=True):
            layer = getattr(lora, name)
            torch.testing.assert_close(delta, 3.0 * layer.lora_B @ layer.lora_A)
            torch.testing.assert_close(third, functional.linear(x_BTW, delta))


class TestDropout:
    def test_it_is_drawn_separately_for_q_k_and_v(self) -> None:
        # Identity factors show the mask that each third was multiplied with.
        lora = AttentionLora(16, rank=16, scaling=1.0, dropout=0.5)
        for name in PROJECTIONS:
            torch.nn.init.eye_(getattr(lora, name).lora_A)
            torch.nn.init.eye_(getattr(lora, name).lora_B)
        masks = lora(torch.ones(2, 8, 16), torch.Generator().manual_seed(0)).chunk(3, dim=-1)
        for mask in masks:
            assert set(mask.unique().tolist()) == {0.0, 2.0}
        assert not torch.equal(masks[0], masks[1])
        assert not torch.equal(masks[1], masks[2])
        assert not torch.equal(masks[0], masks[2])

    def test_it_zeroes_the_stated_share_and_keeps_the_mean(self) -> None:
        layer = LoraLinear(64, rank=64, scaling=1.0, dropout=0.25)
        torch.nn.init.eye_(layer.lora_A)
        torch.nn.init.eye_(layer.lora_B)
        dropped = layer(torch.ones(100, 10, 64), torch.Generator().manual_seed(0))
        assert (dropped == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
        assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)

    def test_without_a_generator_nothing_is_dropped(self, tiny_backbone: Backbone) -> None:
        images, lora = random_images(tiny_backbone), lora_for(tiny_backbone, changed=True)
        tower = tiny_backbone.vision_tower
        assert torch.equal(tower.layer_features(images, lora.train()), tower.layer_features(images, lora.eval()))

    def test_the_same_generator_seed_drops_the_same(self, tiny_backbone: Backbone) -> None:
        images, lora = random_images(tiny_backbone), lora_for(tiny_backbone, changed=True)
        first, again, other = (
            tiny_backbone.vision_tower.layer_features(images, lora, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_it_has_the_released_number_of_parameters() -> None:
    lora = TowerLora(num_layers=12, width=768, rank=16, scaling=2.0)
    assert sum(parameter.numel() for parameter in lora.parameters()) == 884_736
    assert len(list(lora.parameters())) == 72
