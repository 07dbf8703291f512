from collections.abc import Callable

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.lora.dropout import draw_dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.lora.stacked_lora import StackedLora


def test_a_stack_of_loras_learns_as_each_would_alone(
    make_backbone: Callable[..., Backbone], in_float64: Callable[[Backbone], Backbone]
) -> None:
    backbone = in_float64(make_backbone())
    tower, side = backbone.vision_tower, backbone.preprocessing.side_pixels
    images = torch.randn(6, 3, side, side, dtype=torch.float64)
    loras = [TowerLora(tower.num_layers, tower.width, rank=4, scaling=2.0).double() for _ in range(3)]
    for lora in loras:
        torch.nn.init.normal_(lora.lora_B, std=0.1)
    stack = StackedLora(*(torch.stack([getattr(lora, name).detach() for lora in loras]) for name in ("lora_A", "lora_B")), 2.0)
    dropout = draw_dropout(0.25, (tower.num_layers, 3, 6, tower.num_tokens, tower.width), torch.Generator().manual_seed(0))
    assert dropout is not None
    vision_pass = VisionPass(tower)
    class_BLW, trace = vision_pass.forward(images, stack, dropout)
    cotangents_KBLW = torch.randn(2, *class_BLW.shape, dtype=torch.float64)
    together = vision_pass.backward(trace, cotangents_KBLW)
    for index, lora in enumerate(loras):
        rows = slice(2 * index, 2 * index + 2)
        alone_BLW, trace = vision_pass.forward(images[rows], lora, dropout.rows(rows))
        torch.testing.assert_close(class_BLW[rows], alone_BLW, rtol=1e-11, atol=1e-11)
        alone = vision_pass.backward(trace, cotangents_KBLW[:, rows])
        torch.testing.assert_close(together.A_KLPRW[:, :, :, index], alone.A_KLPRW, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(together.B_KLPWR[:, :, :, index], alone.B_KLPWR, rtol=1e-10, atol=1e-10)
