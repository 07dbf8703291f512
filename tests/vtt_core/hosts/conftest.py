from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.hosts.host import Host
from vtt_core.hosts.make import draw_text_dropout, draw_vision_dropout
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.finetune import make_training_data, start_state
from vtt_core.training.seeding import make_generator

Setting = tuple[TrainingData, Host, FinetuneRecipe]


@pytest.fixture
def make_setting(
    uneven_backbone: Backbone, in_float64: Callable[[Backbone], Backbone], support_set: SupportSet
) -> Callable[..., Setting]:
    """Make a data of three classes and a fresh host, in double precision."""
    backbone = in_float64(uneven_backbone)

    def make(method: str, **changes: object) -> Setting:
        recipe = make_recipe(method, changes={"rank": 4, **changes})
        data = make_training_data(backbone, support_set, recipe, seed=0)
        host = start_state(backbone, recipe, 0, support_set.labels).host
        return data, host, recipe

    return make


@pytest.fixture
def batch_of() -> Callable[[TrainingData, Host], Batch]:
    """Make a batch of five views with dropout where the host has any."""

    def make(data: TrainingData, host: Host) -> Batch:
        dropout = draw_vision_dropout(data.backbone, host.vision_lora, 5, make_generator(0, "vision"))
        text_dropout = draw_text_dropout(data.backbone, host, make_generator(0, "text"))
        return Batch(torch.tensor([0, 3, 5, 11, 7]), dropout, is_absorbing=True, text_dropout=text_dropout)

    return make
