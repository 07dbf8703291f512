"""A closed-form linear probe on frozen image features: the baseline that any fine-tuning should beat.

Shapes: B images, C classes, D joint size.
Source: ridge regression on one-hot labels; its leave-one-out residuals are exact without refitting
    (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", equation 7.64).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

RIDGE = 1.0
"""Weight of the squared norm of the coefficients; features have unit length."""


def leave_one_out_predictions(features_BD: Tensor, labels_B: Tensor, num_classes: int) -> Tensor:
    """Return the class that a probe trained on all other images gives each image.

    Args:
        features_BD: image features, not normalised.
        labels_B: class index of each image.
        num_classes: number of classes C.
    """
    features_BD = functional.normalize(features_BD.double(), dim=-1)
    design = torch.cat((features_BD, features_BD.new_ones(len(features_BD), 1)), dim=1)
    targets_BC = functional.one_hot(labels_B, num_classes).to(design.dtype)
    gram = design.t() @ design + RIDGE * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
    hat_BB = design @ torch.linalg.solve(gram, design.t())
    leverage_B1 = hat_BB.diagonal()[:, None]
    held_out_BC = (hat_BB @ targets_BC - leverage_B1 * targets_BC) / (1 - leverage_B1)
    predicted_B: Tensor = held_out_BC.argmax(dim=-1)
    return predicted_B
