import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.fixtures.tiny_backbones import tiny_backbone as tiny_backbone_of
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.attention import class_attention
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.serving.served import ServedAdapter, make_served
from vtt_core.serving.where_it_looked import where_it_looked

IMAGE = Image.linear_gradient("L").convert("RGB")


def served(adapter: Adapter) -> ServedAdapter:
    return make_served(adapter, torch.device("cpu"), "float32")


def untuned(adapter: ServedAdapter) -> ServedAdapter:
    """The adapter as a frozen model has it, without a low-rank layer."""
    return replace(adapter, A_LPRW=adapter.A_LPRW[:, :, :0], B_LPWR=adapter.B_LPWR[:, :, :, :0])


def test_the_grids_are_the_rollout_before_and_after_the_fine_tuning(tiny_backbone: Backbone, adapter: Adapter) -> None:
    (pixels_3HW,) = preprocess([IMAGE], tiny_backbone.preprocessing)
    grids = where_it_looked(tiny_backbone, served(adapter), pixels_3HW)
    assert grids.is_tuned
    assert grids.is_rollout
    for grid, lora in ((grids.before, None), (grids.after, adapter.lora)):
        (map_GG,) = class_attention(tiny_backbone, [IMAGE], lora, is_rollout=True)
        torch.testing.assert_close(torch.tensor(grid), map_GG / map_GG.sum(), atol=1e-5, rtol=1e-4)
        assert math.isclose(sum(map(sum, grid)), 1)
    assert grids.before != grids.after


def test_a_model_with_the_unchanged_tower_looks_where_the_backbone_does(tiny_backbone: Backbone, adapter: Adapter) -> None:
    (pixels_3HW,) = preprocess([IMAGE], tiny_backbone.preprocessing)
    grids = where_it_looked(tiny_backbone, untuned(served(adapter)), pixels_3HW)
    assert not grids.is_tuned
    assert grids.before == grids.after


@pytest.mark.parametrize("kind", ["siglip2", "pe-core"])
def test_of_a_tower_that_pools_it_is_the_attention_of_the_pooling(kind: str, adapter: Adapter) -> None:
    backbone = tiny_backbone_of(kind)
    (pixels_3HW,) = preprocess([IMAGE], backbone.preprocessing)
    grids = where_it_looked(backbone, untuned(served(adapter)), pixels_3HW)
    assert not grids.is_rollout
    assert (len(grids.before), len(grids.before[0])) == (4, 4)
    assert math.isclose(sum(map(sum, grids.before)), 1)
