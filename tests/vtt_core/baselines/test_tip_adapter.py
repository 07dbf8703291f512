from collections.abc import Callable
from math import exp

import torch
from torch.nn import functional

from vtt_core.baselines.problem import FewShotProblem
from vtt_core.baselines.tip_adapter import make_cache, predict_tip_adapter, predict_tip_adapter_f, tip_logits, train_keys
from vtt_core.losses import class_logits


def test_a_case_worked_by_hand() -> None:
    # Keys at cosine 0.6, 1 and 0 from the query, of classes 0, 1 and 0; prototypes at cosine 0 and 0.6.
    features_BD = torch.tensor([[5.0, 0.0]])
    keys_SD, values_SC = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    prototypes_CD = torch.tensor([[0.0, 1.0], [0.6, -0.8]])
    expected_BC = torch.tensor([[0 + 2 * (exp(-5.5 * 0.4) + exp(-5.5)), 60 + 2 * 1.0]])
    torch.testing.assert_close(tip_logits(features_BD, keys_SD, values_SC, prototypes_CD, residual_ratio=2.0), expected_BC)


def test_without_the_cache_it_is_zero_shot(problem: FewShotProblem) -> None:
    prototypes_CD = functional.normalize(torch.randn(2, 64), dim=-1)
    logits_QC = tip_logits(problem.query_features_QD, *make_cache(problem), prototypes_CD, residual_ratio=0.0)
    assert torch.equal(logits_QC, class_logits(problem.query_features_QD, prototypes_CD, 100.0))


def test_a_key_is_the_unit_mean_of_its_images_views(problem: FewShotProblem) -> None:
    keys_SD, values_SC = make_cache(problem)
    views_of_image_4 = problem.views_V3HW[[4, 10, 16, 22, 28]]
    mean_D = problem.backbone.vision_tower.features(views_of_image_4).mean(dim=0)
    torch.testing.assert_close(keys_SD[4], mean_D / mean_D.norm())
    assert values_SC.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3


def test_the_seed_does_not_matter_where_nothing_is_drawn(problem: FewShotProblem) -> None:
    assert torch.equal(predict_tip_adapter(problem, 0), predict_tip_adapter(problem, 1))


def test_training_the_keys_lowers_the_loss(make_problem: Callable[..., FewShotProblem]) -> None:
    problem = make_problem(way=3)
    start_SD, _ = make_cache(problem)
    keys_SD, losses_N = train_keys(problem, seed=0)
    assert losses_N.shape == (20,)
    assert losses_N[-1] < losses_N[0] - 0.01
    assert not torch.equal(keys_SD, start_SD)
    assert torch.equal(make_cache(problem)[0], start_SD)


def test_trained_keys_are_asked_like_the_others(problem: FewShotProblem) -> None:
    keys_SD, _ = train_keys(problem, seed=3)
    expected_QC = tip_logits(problem.query_features_QD, keys_SD, make_cache(problem)[1], problem.prototypes_CD)
    assert torch.equal(predict_tip_adapter_f(problem, 3), expected_QC)
    assert not torch.equal(expected_QC, predict_tip_adapter(problem, 3))
