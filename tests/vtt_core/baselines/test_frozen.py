from collections.abc import Callable

import torch
from torch.nn import functional

from vtt_core.baselines.frozen import predict_linear_probe, predict_zero_shot
from vtt_core.baselines.problem import FewShotProblem
from vtt_core.linear_probe import probe_predictions
from vtt_core.losses import class_logits


def test_zero_shot_reads_the_class_prompts(make_problem: Callable[..., FewShotProblem]) -> None:
    prototypes_CD = functional.normalize(torch.randn(2, 64), dim=-1)
    problem = make_problem(prototypes_CD=prototypes_CD)
    features_QD = problem.backbone.vision_tower.features(problem.queries_Q3HW)
    torch.testing.assert_close(predict_zero_shot(problem, 0), class_logits(features_QD, prototypes_CD, 100.0))


def test_the_probe_learns_from_the_plain_unprojected_features(make_problem: Callable[..., FewShotProblem]) -> None:
    problem = make_problem(way=4)
    tower = problem.backbone.vision_tower
    support_SW, query_QW = tower.unprojected_features(problem.views_V3HW[:12]), tower.unprojected_features(problem.queries_Q3HW)
    expected_Q = probe_predictions(support_SW, torch.arange(4).repeat_interleave(3), query_QW, 4)
    assert torch.equal(predict_linear_probe(problem, 0).argmax(dim=-1), expected_Q)
    assert len(expected_Q.unique()) > 1
