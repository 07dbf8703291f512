"""A closed-form linear probe on frozen image features: the baseline that any fine-tuning should beat.

Shapes: B images, S support images, Q queries, C classes, D joint size.
Source: ridge regression on one-hot labels; its leave-one-out residuals are exact without refitting
    (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", equation 7.64).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

RIDGE = 0.1
"""Weight of the squared norm of the coefficients; features have unit length."""


def probe_predictions(support_SD: Tensor, labels_S: Tensor, query_QD: Tensor, num_classes: int) -> Tensor:
    """Return the class that a probe trained on the support images gives each query.

    Args:
        support_SD: image features, not normalised.
        labels_S: class index of each support image.
        query_QD: image features, not normalised.
        num_classes: number of classes C.
    """
    design = _design(support_SD)
    coefficients = torch.linalg.solve(_gram(design), design.t() @ functional.one_hot(labels_S, num_classes).to(design.dtype))
    predicted_Q: Tensor = (_design(query_QD) @ coefficients).argmax(dim=-1)
    return predicted_Q


def leave_one_out_predictions(features_BD: Tensor, labels_B: Tensor, num_classes: int) -> Tensor:
    """Return the class that a probe trained on all other images gives each image.

    Args:
        features_BD: image features, not normalised.
        labels_B: class index of each image.
        num_classes: number of classes C.
    """
    design = _design(features_BD)
    targets_BC = functional.one_hot(labels_B, num_classes).to(design.dtype)
    hat_BB = design @ torch.linalg.solve(_gram(design), design.t())
    leverage_B1 = hat_BB.diagonal()[:, None]
    held_out_BC = (hat_BB @ targets_BC - leverage_B1 * targets_BC) / (1 - leverage_B1)
    predicted_B: Tensor = held_out_BC.argmax(dim=-1)
    return predicted_B


def _design(features_BD: Tensor) -> Tensor:
    """Return the features, unit length in float64, with a column of ones."""
    features_BD = functional.normalize(features_BD.double(), dim=-1)
    return torch.cat((features_BD, features_BD.new_ones(len(features_BD), 1)), dim=1)


def _gram(design: Tensor) -> Tensor:
    return design.t() @ design + RIDGE * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
