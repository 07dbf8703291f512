from collections.abc import Callable
from math import exp

import torch
from torch.nn import functional

from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.tip_adapter import make_cache, predict_tip_adapter, predict_tip_adapter_f, tip_logits, train_keys
from vtt_core.training.losses import class_logits


def test_a_case_worked_by_hand() -> None:
    # Keys at cosine 0.6, 1 and 0 from the query, of classes 0, 1 and 0; prototypes at cosine 0 and 0.6.
    features_BD = torch.tensor([[5.0, 0.0]])
    keys_SD, values_SC = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    prototypes_CD = torch.tensor([[0.0, 1.0], [0.6, -0.8]])
    expected_BC = torch.tensor([[0 + 2 * (exp(-5.5 * 0.4) + exp(-5.5)), 60 + 2 * 1.0]])
    torch.testing.assert_close(tip_logits(features_BD, keys_SD, values_SC, prototypes_CD, residual_ratio=2.0), expected_BC)


def test_without_the_cache_it_is_zero_shot(task: FewShotTask) -> None:
    prototypes_CD = functional.normalize(torch.randn(2, 64), dim=-1)
    logits_QC = tip_logits(task.query_features_QD, *make_cache(task), prototypes_CD, residual_ratio=0.0)
    assert torch.equal(logits_QC, class_logits(task.query_features_QD, prototypes_CD, 100.0))


def test_a_key_is_the_unit_mean_of_its_images_views(task: FewShotTask) -> None:
    keys_SD, values_SC = make_cache(task)
    views_of_image_4 = task.views_V3HW[[4, 10, 16, 22, 28]]
    mean_D = task.backbone.vision_tower.features(views_of_image_4).mean(dim=0)
    torch.testing.assert_close(keys_SD[4], mean_D / mean_D.norm())
    assert values_SC.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3


def test_the_seed_does_not_matter_where_nothing_is_drawn(task: FewShotTask) -> None:
    assert torch.equal(predict_tip_adapter(task, 0), predict_tip_adapter(task, 1))


def test_training_the_keys_lowers_the_loss(make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data(way=3)
    start_SD, _ = make_cache(task)
    keys_SD, losses_N = train_keys(task, seed=0)
    assert losses_N.shape == (20,)
    assert losses_N[-1] < losses_N[0] - 0.01
    assert not torch.equal(keys_SD, start_SD)
    assert torch.equal(make_cache(task)[0], start_SD)


def test_trained_keys_are_asked_like_the_others(task: FewShotTask) -> None:
    keys_SD, _ = train_keys(task, seed=3)
    expected_QC = tip_logits(task.query_features_QD, keys_SD, make_cache(task)[1], task.prototypes_CD)
    assert torch.equal(predict_tip_adapter_f(task, 3), expected_QC)
    assert not torch.equal(expected_QC, predict_tip_adapter(task, 3))
