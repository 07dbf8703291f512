import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.lora.dropout import draw_dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.lora.stacked_lora import StackedLora


def test_each_lora_changes_its_own_images(tiny_backbone_float64: Backbone) -> None:
    tower, side = tiny_backbone_float64.vision_tower, tiny_backbone_float64.preprocessing.side_pixels
    loras = [TowerLora(tower.num_layers, tower.width, rank=2, scaling=2.0).double() for _ in range(3)]
    images = torch.randn(6, 3, side, side, dtype=torch.float64)
    dropout = draw_dropout(0.25, (tower.num_layers, 3, 6, tower.num_tokens, tower.width), torch.Generator().manual_seed(0))
    assert dropout is not None
    with torch.no_grad():
        for lora in loras:
            lora.lora_B.normal_()
        stacked = StackedLora(
            torch.stack([lora.lora_A for lora in loras]), torch.stack([lora.lora_B for lora in loras]), scaling=2.0
        )
        together = tower.layer_features(images, stacked, dropout)
        for index, lora in enumerate(loras):
            rows = slice(2 * index, 2 * index + 2)
            alone = tower.layer_features(images[rows], lora, dropout.rows(rows))
            torch.testing.assert_close(together[rows], alone, rtol=1e-10, atol=1e-10)
