from collections.abc import Callable

import torch
from torch.nn import functional

from vtt_core.adapter.linear_probe import probe_predictions
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.frozen import predict_linear_probe, predict_zero_shot
from vtt_core.training.losses import class_logits


def test_zero_shot_reads_the_class_prompts(make_training_data: Callable[..., FewShotTask]) -> None:
    prototypes_CD = functional.normalize(torch.randn(2, 64), dim=-1)
    task = make_training_data(prototypes_CD=prototypes_CD)
    features_QD = task.backbone.vision_tower.features(task.queries_Q3HW)
    torch.testing.assert_close(predict_zero_shot(task, 0), class_logits(features_QD, prototypes_CD, 100.0))


def test_the_probe_learns_from_the_plain_unprojected_features(make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data(way=4)
    tower = task.backbone.vision_tower
    support_SW, query_QW = tower.unprojected_features(task.views_V3HW[:12]), tower.unprojected_features(task.queries_Q3HW)
    expected_Q = probe_predictions(support_SW, torch.arange(4).repeat_interleave(3), query_QW, 4)
    assert torch.equal(predict_linear_probe(task, 0).argmax(dim=-1), expected_Q)
    assert len(expected_Q.unique()) > 1
