import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.adapter.linear_probe import RIDGES, chosen_ridge, leave_one_out_predictions, probe_predictions, probe_scores


def refitted_without(index: int, features_BD: Tensor, labels_B: Tensor, ridge: float) -> Tensor:
    """Fit a ridge regression on all other images and ask it for this one."""
    features = functional.normalize(features_BD, dim=-1)
    design = torch.cat((features, torch.ones(len(features), 1, dtype=torch.float64)), dim=1)
    others = [other for other in range(len(labels_B)) if other != index]
    targets = functional.one_hot(labels_B, 3).double()[others]
    # Least squares on the design with the root of the ridge appended below it, but for the intercept.
    padding = ridge**0.5 * torch.eye(design.shape[1], dtype=torch.float64)[:-1]
    stacked = torch.cat((design[others], padding))
    coefficients = torch.linalg.lstsq(stacked, torch.cat((targets, targets.new_zeros(len(padding), 3)))).solution
    answer_C: Tensor = design[index] @ coefficients
    return answer_C


def test_it_equals_refitting_once_for_every_image() -> None:
    torch.manual_seed(4)
    for num_images, size in ((12, 5), (9, 30)):
        features_BD, labels_B = torch.randn(num_images, size, dtype=torch.float64), torch.arange(num_images) % 3
        ridge = chosen_ridge(features_BD, labels_B, 3)
        expected = [int(refitted_without(index, features_BD, labels_B, ridge).argmax()) for index in range(num_images)]
        assert leave_one_out_predictions(features_BD, labels_B, 3).tolist() == expected
        assert expected != labels_B.tolist()


def test_clusters_are_told_apart() -> None:
    labels_B = torch.arange(12) % 3
    features_BD = functional.one_hot(labels_B, 8).float() + 0.05 * torch.randn(12, 8)
    assert torch.equal(leave_one_out_predictions(features_BD, labels_B, 3), labels_B)


def test_the_length_of_a_feature_does_not_matter() -> None:
    features_BD, labels_B = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 2
    scaled_BD = features_BD * torch.rand(8, 1, dtype=torch.float64).add(0.1)
    assert torch.equal(leave_one_out_predictions(scaled_BD, labels_B, 2), leave_one_out_predictions(features_BD, labels_B, 2))


def test_the_only_image_of_a_class_is_never_given_its_own_class() -> None:
    # Left out, its class has no example: the probe cannot know the answer.
    labels_B = torch.tensor([0, 0, 1, 1, 2])
    predicted_B = leave_one_out_predictions(torch.randn(5, 6), labels_B, 3)
    assert predicted_B[4] != 2


def test_a_probe_of_other_images_equals_least_squares_with_the_ridge_below() -> None:
    torch.manual_seed(5)
    support_SD, labels_S = torch.randn(12, 5, dtype=torch.float64), torch.arange(12) % 3
    query_QD = torch.randn(7, 5, dtype=torch.float64)
    labels_with_query = torch.cat((labels_S, labels_S[:1]))  # the label of what is left out does not matter
    ridge = chosen_ridge(support_SD, labels_S, 3)
    refitted = [refitted_without(12, torch.cat((support_SD, query[None])), labels_with_query, ridge) for query in query_QD]
    expected = [int(answer_C.argmax()) for answer_C in refitted]
    torch.testing.assert_close(probe_scores(support_SD, labels_S, query_QD, 3), torch.stack(refitted))
    assert probe_predictions(support_SD, labels_S, query_QD, 3).tolist() == expected


def test_the_chosen_ridge_errs_least_on_images_that_are_left_out() -> None:
    torch.manual_seed(6)
    chosen = set()
    for noise in (0.01, 1.0):
        labels_B = torch.arange(15) % 3
        features_BD = functional.one_hot(labels_B, 6).double() + noise * torch.randn(15, 6, dtype=torch.float64)
        targets_BC = functional.one_hot(labels_B, 3).double()

        def error(ridge: float, features_BD: Tensor = features_BD, targets_BC: Tensor = targets_BC) -> float:
            labels_B = targets_BC.argmax(dim=1)
            answers = torch.stack([refitted_without(index, features_BD, labels_B, ridge) for index in range(15)])
            return float((answers - targets_BC).square().sum())

        assert chosen_ridge(features_BD, labels_B, 3) == min(RIDGES, key=error)
        chosen.add(chosen_ridge(features_BD, labels_B, 3))
    assert len(chosen) == 2
