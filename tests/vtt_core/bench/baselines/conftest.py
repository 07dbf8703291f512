"""Few-shot tasks with images of one colour, on a tiny backbone with random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PIL import Image
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.views import Views, stack_views

NUM_QUERIES = 5
"""Of each class."""


@pytest.fixture(scope="session")
def make_training_data(tiny_backbone: Backbone, draw_image: Callable[..., Image.Image]) -> Callable[..., FewShotTask]:
    """Draw a task; without prototypes, those of all classes are alike, so that only the support set tells them apart."""

    def make(way: int = 2, shot: int = 3, prototypes_CD: Tensor | None = None, num_views: int = 5) -> FewShotTask:
        recipe, preprocessing = FinetuneRecipe(num_views=num_views), tiny_backbone.preprocessing
        views = Views(preprocessing, recipe, seed=0)
        images = [draw_image(index, variant) for index in range(way) for variant in range(shot)]
        queries = [draw_image(index, 100 + variant) for index in range(way) for variant in range(NUM_QUERIES)]
        if prototypes_CD is None:
            with torch.inference_mode():  # as `zero_shot_prototypes` makes them: autograd may not save such a tensor
                prototypes_CD = torch.zeros(way, tiny_backbone.joint_size)
                prototypes_CD[:, 0] = 1
        return FewShotTask(
            backbone=tiny_backbone,
            views_V3HW=stack_views([views.of_image(image, index) for index, image in enumerate(images)]),
            labels_V=torch.arange(way).repeat_interleave(shot).repeat(num_views),
            num_images=way * shot,
            prototypes_CD=prototypes_CD,
            queries_Q3HW=preprocess(queries, preprocessing),
        )

    return make


@pytest.fixture(scope="session")
def task(make_training_data: Callable[..., FewShotTask]) -> FewShotTask:
    """Two classes of three images; read it, never change it."""
    return make_training_data()


@pytest.fixture(scope="session")
def query_labels_Q() -> Tensor:
    return torch.arange(2).repeat_interleave(NUM_QUERIES)
