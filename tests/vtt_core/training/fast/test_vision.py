from collections.abc import Callable

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.lora.dropout import draw_dropout
from vtt_core.lora.stacked_lora import StackedLora
from vtt_core.training.fast.vision import vision_by_autograd, vision_by_hand


def test_the_hand_written_form_equals_autograd(uneven_backbone: Backbone, in_float64: Callable[[Backbone], Backbone]) -> None:
    backbone = in_float64(uneven_backbone)
    tower, side = backbone.vision_tower, backbone.preprocessing.side_pixels
    assert isinstance(tower, ClipVisionTower)
    images = torch.randn(6, 3, side, side, dtype=torch.float64)
    shape = (3, tower.num_layers, 3)
    A_ELPRW = torch.randn(*shape, 2, tower.width, dtype=torch.float64).requires_grad_()
    B_ELPWR = torch.randn(*shape, tower.width, 2, dtype=torch.float64).requires_grad_()
    dropout = draw_dropout(0.25, (tower.num_layers, 3, 6, tower.num_tokens, tower.width), torch.Generator().manual_seed(0))
    results = []
    for run in (vision_by_hand(tower), vision_by_autograd(tower)):
        vision_BLD, backward = run(images, StackedLora(A_ELPRW, B_ELPWR, 0.1), dropout)
        cotangents = [torch.cos(vision_BLD.detach()), torch.sin(vision_BLD.detach())]
        results.append((vision_BLD, backward(cotangents)))
    (by_hand, of_hand), (by_autograd, of_autograd) = results
    torch.testing.assert_close(by_hand, by_autograd, rtol=1e-10, atol=1e-10)
    for got, expected in zip(of_hand, of_autograd, strict=True):
        for on_one, on_other in zip(got, expected, strict=True):
            assert on_one.shape == on_other.shape
            torch.testing.assert_close(on_one, on_other, rtol=1e-9, atol=1e-9)
