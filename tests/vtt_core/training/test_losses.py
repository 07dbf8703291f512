import math

import pytest
import torch

from vtt_core.training.losses import absorption_loss, class_logits, classification_loss


def test_logits_are_scaled_cosines() -> None:
    # (3, 4) has cosines 0.6 and 0.8 with the axes, whatever its length.
    logits_BC = class_logits(torch.tensor([[3.0, 4.0], [30.0, 40.0]]), torch.eye(2), 100.0)
    torch.testing.assert_close(logits_BC, torch.tensor([[60.0, 80.0], [60.0, 80.0]]))


def test_the_classification_loss_is_the_mean_cross_entropy() -> None:
    logits_BC, labels_B = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])
    # -log(1/2) and -log(1/4).
    assert classification_loss(logits_BC, labels_B).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


class TestAbsorptionLoss:
    def test_it_is_minus_the_mean_cosine(self) -> None:
        absorbed_BD = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
        features_BD = torch.tensor([[5.0, 0.0], [0.0, 1.0]])
        assert absorption_loss(absorbed_BD, features_BD).item() == pytest.approx(-(0.6 + 1) / 2)

    def test_it_is_least_where_both_agree(self) -> None:
        features_BD = torch.randn(4, 8)
        assert absorption_loss(3 * features_BD, features_BD).item() == pytest.approx(-1)

    def test_gradients_reach_both_sides(self) -> None:
        absorbed_BD, features_BD = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
        absorption_loss(absorbed_BD, features_BD).backward()
        assert absorbed_BD.grad is not None
        assert absorbed_BD.grad.any()
        assert features_BD.grad is not None
        assert features_BD.grad.any()


def test_losses_of_several_fine_tunings_are_those_of_each() -> None:
    features_EBD, prototypes_ECD = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    absorbed_EBD, labels_EB = torch.randn(2, 4, 8), torch.randint(3, (2, 4))
    loss_ce_E = classification_loss(class_logits(features_EBD, prototypes_ECD, 10.0), labels_EB)
    loss_vtt_E = absorption_loss(absorbed_EBD, features_EBD)
    for index in range(2):
        logits_BC = class_logits(features_EBD[index], prototypes_ECD[index], 10.0)
        torch.testing.assert_close(loss_ce_E[index], classification_loss(logits_BC, labels_EB[index]))
        torch.testing.assert_close(loss_vtt_E[index], absorption_loss(absorbed_EBD[index], features_EBD[index]))
