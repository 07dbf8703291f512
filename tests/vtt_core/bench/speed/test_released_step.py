from collections.abc import Callable

import torch

from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.bench.speed.released_step import released_gradients
from vtt_core.bench.speed.step_times import synthetic_data
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.hosts.make import draw_vision_dropout
from vtt_core.hosts.training_data import Batch
from vtt_core.training.finetune import start_state
from vtt_core.training.step import plain_gradients


def test_it_gives_the_plain_paths_gradients_and_leaves_the_backbone_frozen(
    tiny_backbone: Backbone, in_float64: Callable[[Backbone], Backbone], make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    backbone, recipe = in_float64(tiny_backbone), make_recipe()
    data, state = synthetic_data(backbone, recipe, way=2, num_views=4), start_state(backbone, recipe, seed=0)
    torch.nn.init.normal_(state.lora.lora_B, std=0.05)
    before = hash_weights(backbone.clip.state_dict())
    dropout = draw_vision_dropout(backbone, state.lora, 4, torch.Generator().manual_seed(0))
    batch = Batch(torch.arange(4), dropout, is_absorbing=True)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    released = released_gradients(data, state.host, state.fusion, recipe, batch)
    torch.testing.assert_close(released.absorption_loss, plain.absorption_loss)
    for name in ("host_classification", "host_absorption", "fusion_absorption"):
        for got, expected in zip(getattr(released, name), getattr(plain, name), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-10)
    assert not any(parameter.requires_grad for parameter in backbone.clip.parameters())
    assert hash_weights(backbone.clip.state_dict()) == before
