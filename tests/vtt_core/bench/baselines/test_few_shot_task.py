from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from vtt_core.adapter.classify import CHUNK_IMAGES
from vtt_core.bench.baselines.few_shot_task import FewShotTask, in_chunks


def test_the_first_views_are_the_plain_ones(task: FewShotTask, make_training_data: Callable[..., FewShotTask]) -> None:
    assert (task.num_images, task.num_views, task.num_classes) == (6, 5, 2)
    assert torch.equal(task.plain_S3HW, make_training_data(num_views=1).views_V3HW)
    assert task.labels_S.tolist() == [0, 0, 0, 1, 1, 1]


def test_views_in_another_order_are_refused(task: FewShotTask) -> None:
    with pytest.raises(AssertionError):
        replace(task, labels_V=task.labels_V.sort().values)
    with pytest.raises(AssertionError):
        replace(task, num_images=4)


def test_frozen_features_are_the_towers_and_computed_once(make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data()
    tower = task.backbone.vision_tower
    torch.testing.assert_close(task.view_features_VD, tower.features(task.views_V3HW))
    torch.testing.assert_close(task.query_features_QD, tower.features(task.queries_Q3HW))
    torch.testing.assert_close(task.plain_unprojected_SW, tower.unprojected_features(task.plain_S3HW))
    torch.testing.assert_close(task.query_unprojected_QW, tower.unprojected_features(task.queries_Q3HW))
    assert task.view_layers_VLD.shape == (30, 3, 64)
    assert task.view_layers_VLD is task.view_layers_VLD
    assert task.query_layers_QLD is task.query_layers_QLD


def test_zero_shot_logits_are_a_hundred_cosines(task: FewShotTask) -> None:
    cosines_Q = functional.cosine_similarity(task.query_features_QD, task.prototypes_CD[:1], dim=-1)
    torch.testing.assert_close(task.zero_shot_logits(task.query_features_QD)[:, 1], 100 * cosines_Q)


def test_chunks_give_every_image_in_order_and_keep_no_graph() -> None:
    images_B3HW = torch.arange(2.0 * CHUNK_IMAGES + 3).view(-1, 1, 1, 1).requires_grad_()
    sizes = []

    def features_of(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return 2 * images.flatten(1)

    assert torch.equal(in_chunks(features_of, images_B3HW), 2 * images_B3HW.detach().flatten(1))
    assert sizes == [CHUNK_IMAGES, CHUNK_IMAGES, 3]
    assert not in_chunks(features_of, images_B3HW).requires_grad
