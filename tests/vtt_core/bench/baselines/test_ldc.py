from collections.abc import Callable
from math import log

import pytest
import torch
from torch import nn

from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.ldc import Ldc, LdcLogits, ldc_loss, level_indices, predict_ldc, train_ldc


@pytest.mark.parametrize(
    ("num_layers", "indices"), [(12, [5, 7, 9, 11]), (24, [11, 15, 19, 23]), (3, [1, 1, 2, 2]), (1, [0, 0, 0, 0])]
)
def test_levels_are_taken_by_relative_depth(num_layers: int, indices: list[int]) -> None:
    assert level_indices(num_layers) == indices


def test_the_fused_feature_weighs_deep_levels_most() -> None:
    ldc = Ldc(joint_size=4, num_classes=4).eval()
    ldc.adapters = nn.ModuleList(nn.Identity() for _ in range(4))
    ldc.head = nn.Identity()  # type: ignore[assignment]
    logits: LdcLogits = ldc(torch.tensor([1.0, 10, 100, 1000]).view(1, 4, 1).expand(1, 4, 4), torch.zeros(1, 4))
    torch.testing.assert_close(logits.adapted_BC, torch.full((1, 4), 0.1 + 2 + 30 + 400))


def test_without_a_residual_the_confusion_stays_and_the_gate_mixes() -> None:
    ldc = Ldc(joint_size=4, num_classes=3).eval()
    nn.init.zeros_(ldc.to_logits[-1].weight)
    nn.init.zeros_(ldc.gate[-1].weight)
    zero_shot_BC = torch.randn(2, 3)
    logits: LdcLogits = ldc(torch.randn(2, 4, 4), zero_shot_BC)
    assert torch.equal(logits.deconfused_BC, zero_shot_BC)
    torch.testing.assert_close(logits.gated_BC, (logits.adapted_BC + zero_shot_BC) / 2)


def test_the_loss_of_a_case_worked_by_hand() -> None:
    even_BC, zero_shot_BC = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]])
    logits = LdcLogits(even_BC, zero_shot_BC + torch.tensor([[0.0, 2.0]]), even_BC)
    # Three even choices of two; distances (3 + 1) / 2 and (0 + 2) / 2.
    assert float(ldc_loss(logits, zero_shot_BC, torch.tensor([0]))) == pytest.approx(3 * log(2) + 2 + 1)


@pytest.mark.slow
def test_training_lowers_the_loss_and_ends_in_evaluation(make_training_data: Callable[..., FewShotTask]) -> None:
    ldc, losses_N = train_ldc(make_training_data(way=3, shot=5), seed=0)
    assert losses_N.shape == (100,)
    assert losses_N[-5:].mean() < 0.7 * losses_N[:5].mean()
    assert not any(module.training for module in ldc.modules())


@pytest.mark.slow
def test_the_seed_draws_the_weights(task: FewShotTask) -> None:
    assert not torch.equal(predict_ldc(task, 0), predict_ldc(task, 1))
