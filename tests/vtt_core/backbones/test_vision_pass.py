from collections.abc import Callable

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.lora.dropout import Dropout, draw_dropout
from vtt_core.lora.layers import TowerLora


@pytest.fixture
def backbone(make_backbone: Callable[..., Backbone], in_float64: Callable[[Backbone], Backbone]) -> Backbone:
    return in_float64(make_backbone())


@pytest.fixture
def images(backbone: Backbone) -> torch.Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(5, 3, side, side, dtype=torch.float64)


def draw_lora(backbone: Backbone, rank: int) -> TowerLora:
    lora = TowerLora(backbone.vision_tower.num_layers, backbone.vision_tower.width, rank, scaling=2.0).double()
    torch.nn.init.normal_(lora.lora_B, std=0.1)
    return lora


def dropout_of(backbone: Backbone, num_images: int, seed: int) -> Dropout | None:
    tower = backbone.vision_tower
    shape = (tower.num_layers, 3, num_images, tower.num_tokens, tower.width)
    return draw_dropout(0.25, shape, torch.Generator().manual_seed(seed))


@pytest.mark.slow
def test_class_tokens_are_those_of_the_tower(backbone: Backbone, images: torch.Tensor) -> None:
    lora, dropout, tower = draw_lora(backbone, 4), dropout_of(backbone, 5, 0), backbone.vision_tower
    class_BLW, _ = VisionPass(tower).forward(images, lora, dropout)
    torch.testing.assert_close(tower.project(class_BLW), tower.layer_features(images, lora, dropout), rtol=1e-11, atol=1e-11)


def test_gradients_are_those_of_autograd_for_each_cotangent(backbone: Backbone, images: torch.Tensor) -> None:
    lora, dropout, tower = draw_lora(backbone, 4), dropout_of(backbone, 5, 0), backbone.vision_tower
    vision_pass = VisionPass(tower)
    class_BLW, trace = vision_pass.forward(images, lora, dropout)
    class_BLW.requires_grad_()
    cotangents = torch.randn(3, *tower.project(class_BLW).shape, dtype=torch.float64)
    of_class = [torch.autograd.grad(tower.project(class_BLW), class_BLW, cotangent)[0] for cotangent in cotangents]
    gradients = vision_pass.backward(trace, torch.stack(of_class))
    for index, cotangent in enumerate(cotangents):
        vision_BLD = tower.layer_features(images, lora, dropout)
        expected_A, expected_B = torch.autograd.grad(vision_BLD, [lora.lora_A, lora.lora_B], cotangent)
        torch.testing.assert_close(gradients.A_KLPRW[index], expected_A, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradients.B_KLPWR[index], expected_B, rtol=1e-10, atol=1e-10)
