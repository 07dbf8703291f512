import copy
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import Backbone
from vtt_core.lora.dropout import LayerDropout
from vtt_core.lora.layers import PROJECTIONS, LayerLora, TowerLora, matrices_by_name


def lora_for(backbone: Backbone, *, changed: bool) -> TowerLora:
    tower = backbone.vision_tower
    lora = TowerLora(tower.num_layers, tower.width, rank=4, scaling=2.0, dropout=0.25).to(backbone.dtype)
    if changed:
        with torch.no_grad():
            lora.lora_B.normal_()
    return lora


def random_images(backbone: Backbone, count: int = 3) -> Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(count, 3, side, side, dtype=backbone.dtype)


class TestAtStart:
    def test_a_new_lora_changes_no_bit(self, tiny_backbone: Backbone) -> None:
        images, tower = random_images(tiny_backbone), tiny_backbone.vision_tower
        assert torch.equal(tower.layer_features(images, lora_for(tiny_backbone, changed=False)), tower.layer_features(images))

    def test_a_is_kaiming_uniform_and_b_zero(self) -> None:
        lora = TowerLora(2, 64, rank=16, scaling=2.0)
        bound = 1 / math.sqrt(64)  # gain sqrt(2 / (1 + 5)) times sqrt(3 / fan_in)
        assert bound * 0.95 < lora.lora_A.abs().max().item() <= bound
        assert not lora.lora_B.any()


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
        A_PRW, B_PWR = torch.randn(3, 2, 8, dtype=torch.float64), torch.randn(3, 8, 2, dtype=torch.float64)
        lora = LayerLora(A_PRW, B_PWR, scaling=3.0)
        x_BTW = torch.randn(2, 5, 8, dtype=torch.float64)
        thirds = lora.change(x_BTW).chunk(3, dim=-1)
        for index, (third, delta) in enumerate(zip(thirds, lora.delta().chunk(3), strict=True)):
            torch.testing.assert_close(delta, 3.0 * B_PWR[index] @ A_PRW[index])
            torch.testing.assert_close(third, functional.linear(x_BTW, delta))

    def test_dropped_inputs_are_those_of_the_projection(self) -> None:
        A_PRW, B_PWR = torch.randn(3, 2, 8), torch.randn(3, 8, 2)
        x_BTW = torch.randn(2, 5, 8)
        bytes_PBTW = torch.randint(0, 256, (3, 2, 5, 8), dtype=torch.uint8)
        dropout = LayerDropout(bytes_PBTW, num_dropped=128)
        thirds = LayerLora(A_PRW, B_PWR, scaling=3.0).change(x_BTW, dropout).chunk(3, dim=-1)
        for index, third in enumerate(thirds):
            kept_BTW = x_BTW * (bytes_PBTW[index] >= 128) * 2
            torch.testing.assert_close(third, 3.0 * kept_BTW @ A_PRW[index].t() @ B_PWR[index].t())


class TestMatrices:
    def test_they_bear_the_names_of_files(self) -> None:
        lora = TowerLora(2, 8, rank=2, scaling=1.0)
        matrices = lora.matrices()
        assert len(matrices) == 2 * len(PROJECTIONS) * 2
        assert torch.equal(matrices["layers.1.k_proj.lora_A"], lora.lora_A[1, 1])
        assert torch.equal(matrices["layers.0.v_proj.lora_B"], lora.lora_B[0, 2])

    def test_what_was_taken_out_can_be_put_in(self) -> None:
        lora, other = TowerLora(2, 8, rank=2, scaling=1.0), TowerLora(2, 8, rank=2, scaling=1.0)
        drawn = matrices_by_name(torch.randn(2, 3, 2, 8), torch.randn(2, 3, 8, 2))
        lora.load_matrices(drawn)
        other.load_matrices(lora.matrices())
        assert all(torch.equal(matrix, drawn[name]) for name, matrix in other.matrices().items())
        assert not other.lora_A.grad_fn

    @pytest.mark.parametrize("wrong", ["missing", "shape", "foreign"])
    def test_others_are_refused(self, wrong: str) -> None:
        lora = TowerLora(2, 8, rank=2, scaling=1.0)
        matrices = lora.matrices()
        if wrong == "missing":
            del matrices["layers.1.k_proj.lora_A"]
        elif wrong == "shape":
            matrices["layers.1.k_proj.lora_A"] = torch.zeros(3, 8)
        else:
            matrices["layers.9.k_proj.lora_A"] = torch.zeros(2, 8)
        with pytest.raises(ValueError, match="expected"):
            lora.load_matrices(matrices)


def test_it_has_the_released_number_of_parameters() -> None:
    lora = TowerLora(num_layers=12, width=768, rank=16, scaling=2.0)
    assert sum(parameter.numel() for parameter in lora.parameters()) == 884_736
    assert len(lora.matrices()) == 72
