import pytest
import torch
from torch import Tensor

from vtt_core.dgso.projection import conflict_cosine, project_out

CLASSIFICATION = torch.tensor([[2.0, 0.0]], dtype=torch.float64)


def both(combined: list[float], classification: Tensor = CLASSIFICATION) -> tuple[float, list[float]]:
    gradient = torch.tensor([combined], dtype=torch.float64)
    cosine = conflict_cosine(gradient, classification)
    return cosine.item(), project_out(gradient, classification, cosine)[0].tolist()


class TestTwoDimensionsByHand:
    def test_a_conflicting_gradient_loses_its_component(self) -> None:
        # (-3, 4) has length 5; its component along (1, 0) is -3.
        cosine, projected = both([-3.0, 4.0])
        assert cosine == pytest.approx(-3 / 5)
        assert projected == pytest.approx([0.0, 4.0])

    def test_an_opposite_gradient_vanishes(self) -> None:
        cosine, projected = both([-5.0, 0.0])
        assert cosine == pytest.approx(-1)
        assert projected == pytest.approx([0.0, 0.0])

    def test_an_orthogonal_gradient_stays(self) -> None:
        assert both([0.0, 4.0]) == (0.0, [0.0, 4.0])

    def test_an_agreeing_gradient_stays(self) -> None:
        cosine, projected = both([3.0, 4.0])
        assert cosine == pytest.approx(3 / 5)
        assert projected == [3.0, 4.0]

    def test_a_zero_classification_gradient_counts_as_agreement(self) -> None:
        assert both([-3.0, 4.0], torch.zeros(1, 2, dtype=torch.float64)) == (1.0, [-3.0, 4.0])

    def test_a_zero_combined_gradient_counts_as_agreement(self) -> None:
        assert both([0.0, 0.0]) == (1.0, [0.0, 0.0])


def test_what_is_left_of_a_matrix_is_orthogonal_to_the_classification_gradient() -> None:
    combined, classification = torch.randn(2, 3, 5, dtype=torch.float64)
    combined = combined - 3 * classification
    cosine = conflict_cosine(combined, classification)
    expected = torch.nn.functional.cosine_similarity(combined.flatten(), classification.flatten(), dim=0)
    torch.testing.assert_close(cosine, expected.view(1, 1))
    assert cosine < 0
    projected = project_out(combined, classification, cosine)
    assert (projected * classification).sum().item() == pytest.approx(0, abs=1e-12)


def test_each_of_several_matrices_is_compared_on_its_own() -> None:
    combined, classification = torch.randn(2, 4, 3, 2, 5, dtype=torch.float64)
    cosines = conflict_cosine(combined, classification)
    assert cosines.shape == (4, 3, 1, 1)
    assert cosines.min() < 0 < cosines.max()
    projected = project_out(combined, classification, cosines)
    for layer in range(4):
        for index in range(3):
            g_comb, g_ce = combined[layer, index], classification[layer, index]
            alone = conflict_cosine(g_comb, g_ce)
            torch.testing.assert_close(cosines[layer, index], alone)
            torch.testing.assert_close(projected[layer, index], project_out(g_comb, g_ce, alone))
