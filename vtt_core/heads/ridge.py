"""Ridge regression on one-hot labels in which every class counts the same, however many images it has.

Without that, a class with fewer images (or with one left out) would have a smaller intercept, and lose every close call.

Shapes: B images, S support images, C classes, F size of a feature.
Source: Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", sections 3.4.1 and 5.8.2; the dual form, which is
    exact and small where there are fewer images than features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

RIDGES = (0.3, 0.1, 0.03)
"""Weights of the squared norm of the coefficients to choose from; features have unit length."""
DEFAULT_RIDGE = 0.1
"""Used where no image can be left out. Source: docs/results.md, "Heads"."""


@dataclass(frozen=True)
class RidgeFit:
    """Coefficients of the classes, and their intercepts."""

    weight_CF: Tensor
    bias_C: Tensor

    def scores(self, features_BF: Tensor) -> Tensor:
        """Return scores_BC: about 1 for a class that fits, about 0 for others."""
        return features_BF @ self.weight_CF.mT + self.bias_C


def fit_ridge(features_SF: Tensor, gram_SS: Tensor, targets_SC: Tensor, labels_S: Tensor, ridge: float) -> RidgeFit:
    """Return the fit of targets to features.

    Args:
        features_SF: of the support images.
        gram_SS: products of every two of them.
        targets_SC: what to fit; one-hot labels, or what another classifier leaves to explain.
        labels_S: class of each image, by which images are weighted.
        ridge: weight of the squared norm.
    """
    weights_S = class_weights(labels_S, targets_SC.shape[1])
    shares_S = weights_S / weights_S.sum()
    mean_F, mean_C = shares_S @ features_SF, shares_S @ targets_SC
    root_S1 = weights_S.sqrt()[:, None]
    with_mean_S1 = (gram_SS @ shares_S)[:, None]
    centred_SS = root_S1 * (gram_SS - with_mean_S1 - with_mean_S1.mT + shares_S @ with_mean_S1) * root_S1.mT
    system_SS = centred_SS + ridge * torch.eye(len(features_SF), dtype=features_SF.dtype)
    dual_SC = root_S1 * torch.linalg.solve(system_SS, root_S1 * (targets_SC - mean_C))
    weight_CF = dual_SC.mT @ features_SF - dual_SC.sum(dim=0)[:, None] * mean_F
    return RidgeFit(weight_CF, mean_C - weight_CF @ mean_F)


def class_weights(labels_S: Tensor, num_classes: int) -> Tensor:
    """Return a weight of each image: every class has the same sum, and the mean over all images is 1."""
    counts_C = torch.bincount(labels_S, minlength=num_classes)
    num_present = int((counts_C > 0).sum())
    return len(labels_S) / (num_present * counts_C[labels_S].double())


def one_hot(labels_S: Tensor, num_classes: int) -> Tensor:
    """Return one-hot labels in float64."""
    targets_SC: Tensor = functional.one_hot(labels_S, num_classes).double()
    return targets_SC
