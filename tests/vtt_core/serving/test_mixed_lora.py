import pytest
import torch

from vtt_core.adapter.answer import Answering
from vtt_core.backbones.backbone import Backbone
from vtt_core.lora.layers import TowerLora
from vtt_core.serving.mixed_lora import GatheredLayer, MixedLora, SharedLayer
from vtt_core.serving.served import ServedAdapter


def draw(backbone: Backbone, rank: int) -> tuple[TowerLora, ServedAdapter]:
    tower = backbone.vision_tower
    lora = TowerLora(tower.num_layers, tower.width, rank, scaling=2.0).to(backbone.dtype).requires_grad_(False)
    torch.nn.init.normal_(lora.lora_B, std=0.1)
    prototypes_CD = torch.zeros(2, backbone.joint_size, dtype=backbone.dtype)
    answering = Answering(("a", "b"), has_negative=False, nonconformity=(), usual=None)
    return lora, ServedAdapter(lora.lora_A, lora.lora_B * 2.0, prototypes_CD, torch.zeros(2), 2, False, answering)


@pytest.mark.parametrize("ranks", [(4, 4, 4), (4, 2, 3)])
def test_each_image_goes_through_its_own_lora(tiny_backbone_float64: Backbone, ranks: tuple[int, ...]) -> None:
    tower, side = tiny_backbone_float64.vision_tower, tiny_backbone_float64.preprocessing.side_pixels
    images = torch.randn(3, 3, side, side, dtype=torch.float64)
    drawn = [draw(tiny_backbone_float64, rank) for rank in ranks]
    mixed = MixedLora([served for _, served in drawn], torch.float64)
    assert isinstance(mixed.layer(0), GatheredLayer)
    together = tower.features(images, mixed)
    for index, (lora, _) in enumerate(drawn):
        alone = tower.features(images[index : index + 1], lora)
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-11, atol=1e-11)


def test_one_lora_for_all_is_not_gathered(tiny_backbone_float64: Backbone) -> None:
    tower, side = tiny_backbone_float64.vision_tower, tiny_backbone_float64.preprocessing.side_pixels
    images = torch.randn(3, 3, side, side, dtype=torch.float64)
    lora, served = draw(tiny_backbone_float64, 4)
    mixed = MixedLora([served] * 3, torch.float64)
    assert isinstance(mixed.layer(0), SharedLayer)
    torch.testing.assert_close(tower.features(images, mixed), tower.features(images, lora), rtol=1e-11, atol=1e-11)
