from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from vtt_core.baselines.problem import FewShotProblem, in_chunks
from vtt_core.classify import CHUNK_IMAGES


def test_the_first_views_are_the_plain_ones(problem: FewShotProblem, make_problem: Callable[..., FewShotProblem]) -> None:
    assert (problem.num_images, problem.num_views, problem.num_classes) == (6, 5, 2)
    assert torch.equal(problem.plain_S3HW, make_problem(num_views=1).views_V3HW)
    assert problem.labels_S.tolist() == [0, 0, 0, 1, 1, 1]


def test_views_in_another_order_are_refused(problem: FewShotProblem) -> None:
    with pytest.raises(AssertionError):
        replace(problem, labels_V=problem.labels_V.sort().values)
    with pytest.raises(AssertionError):
        replace(problem, num_images=4)


def test_frozen_features_are_the_towers_and_computed_once(make_problem: Callable[..., FewShotProblem]) -> None:
    problem = make_problem()
    tower = problem.backbone.vision_tower
    torch.testing.assert_close(problem.view_features_VD, tower.features(problem.views_V3HW))
    torch.testing.assert_close(problem.query_features_QD, tower.features(problem.queries_Q3HW))
    torch.testing.assert_close(problem.plain_unprojected_SW, tower.unprojected_features(problem.plain_S3HW))
    torch.testing.assert_close(problem.query_unprojected_QW, tower.unprojected_features(problem.queries_Q3HW))
    assert problem.view_layers_VLD.shape == (30, 3, 64)
    assert problem.view_layers_VLD is problem.view_layers_VLD
    assert problem.query_layers_QLD is problem.query_layers_QLD


def test_zero_shot_logits_are_a_hundred_cosines(problem: FewShotProblem) -> None:
    cosines_Q = functional.cosine_similarity(problem.query_features_QD, problem.prototypes_CD[:1], dim=-1)
    torch.testing.assert_close(problem.zero_shot_logits(problem.query_features_QD)[:, 1], 100 * cosines_Q)


def test_chunks_give_every_image_in_order_and_keep_no_graph() -> None:
    images_B3HW = torch.arange(2.0 * CHUNK_IMAGES + 3).view(-1, 1, 1, 1).requires_grad_()
    sizes = []

    def features_of(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return 2 * images.flatten(1)

    assert torch.equal(in_chunks(features_of, images_B3HW), 2 * images_B3HW.detach().flatten(1))
    assert sizes == [CHUNK_IMAGES, CHUNK_IMAGES, 3]
    assert not in_chunks(features_of, images_B3HW).requires_grad
