"""A closed-form linear probe on frozen image features: the baseline that any fine-tuning should beat.

Shapes: B images, S support images, Q queries, C classes, D size of a feature.
Source: ridge regression on one-hot labels; its leave-one-out residuals are exact without refitting
    (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", equation 7.64).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

RIDGES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Weights of the squared norm of the coefficients to choose from; features have unit length."""


def probe_predictions(support_SD: Tensor, labels_S: Tensor, query_QD: Tensor, num_classes: int) -> Tensor:
    """Return the class that a probe trained on the support images gives each query: that of its largest score."""
    return probe_scores(support_SD, labels_S, query_QD, num_classes).argmax(dim=-1)


def probe_scores(support_SD: Tensor, labels_S: Tensor, query_QD: Tensor, num_classes: int) -> Tensor:
    """Return scores_QC that a probe trained on the support images gives each query, in float64.

    Args:
        support_SD: image features, not normalised.
        labels_S: class index of each support image.
        query_QD: image features, not normalised.
        num_classes: number of classes C.
    """
    design, targets_SC = _design(support_SD), _targets(labels_S, num_classes)
    gram = _gram(design, _chosen_ridge(design, targets_SC))
    scores_QC: Tensor = _design(query_QD) @ torch.linalg.solve(gram, design.t() @ targets_SC)
    return scores_QC


def leave_one_out_predictions(features_BD: Tensor, labels_B: Tensor, num_classes: int) -> Tensor:
    """Return the class that a probe trained on all other images gives each image.

    Args:
        features_BD: image features, not normalised.
        labels_B: class index of each image.
        num_classes: number of classes C.
    """
    design, targets_BC = _design(features_BD), _targets(labels_B, num_classes)
    predicted_B: Tensor = _held_out(design, targets_BC, _chosen_ridge(design, targets_BC)).argmax(dim=-1)
    return predicted_B


def chosen_ridge(features_BD: Tensor, labels_B: Tensor, num_classes: int) -> float:
    """Return the one of RIDGES with the smallest squared error on images that are left out one at a time."""
    return _chosen_ridge(_design(features_BD), _targets(labels_B, num_classes))


def _chosen_ridge(design: Tensor, targets_BC: Tensor) -> float:
    return min(RIDGES, key=lambda ridge: float((_held_out(design, targets_BC, ridge) - targets_BC).square().sum()))


def _held_out(design: Tensor, targets_BC: Tensor, ridge: float) -> Tensor:
    """Return the scores that a probe trained on all other images gives each image."""
    hat_BB = design @ torch.linalg.solve(_gram(design, ridge), design.t())
    leverage_B1 = hat_BB.diagonal()[:, None]
    held_out_BC: Tensor = (hat_BB @ targets_BC - leverage_B1 * targets_BC) / (1 - leverage_B1)
    return held_out_BC


def _targets(labels_B: Tensor, num_classes: int) -> Tensor:
    targets_BC: Tensor = functional.one_hot(labels_B, num_classes).double()
    return targets_BC


def _design(features_BD: Tensor) -> Tensor:
    """Return the features, unit length in float64, with a column of ones."""
    features_BD = functional.normalize(features_BD.double(), dim=-1)
    return torch.cat((features_BD, features_BD.new_ones(len(features_BD), 1)), dim=1)


def _gram(design: Tensor, ridge: float) -> Tensor:
    penalty = ridge * design.new_ones(design.shape[1])
    penalty[-1] = 0.0  # images of one domain share most of their features: the intercept takes that up for free
    return design.t() @ design + penalty.diag()
