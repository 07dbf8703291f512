"""The classifiers that heads are made of, each in closed form from labelled features and class prompts.

| base | reads | source |
| --- | --- | --- |
| text | joint feature | cosine with the class prompts: CLIP, arXiv:2103.00020; no image is used |
| ridge | levels | ridge regression on all levels |
| centroid | levels | cosine with class means, less the mean of all |
| gda | levels | Gaussian discriminant analysis with one shrunk covariance, arXiv:2402.04087 |
| ridge-text | levels, joint | kernel ridge regression towards the text prior, arXiv:2501.11175, with a linear kernel |
| text-centroid | joint feature | class means drawn towards the class prompts, arXiv:2506.17500 |
| probe | pooled token | ridge regression: the linear probe that every other classifier should beat |

Shapes: S support images, C classes, F size of all levels, D joint size, W tower width, X = F + D.
Differs: all weigh the classes equally; ProKeR's kernel is linear, so that what is served is one matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.towers import NUM_DEPTHS
from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.linear_head import LinearHead
from vtt_core.heads.ridge import RidgeFit, class_weights, fit_ridge, one_hot

LOGIT_SCALE = 100.0
"""Factor on cosines with class prompts. Source: CLIP."""
TEXT_SHARE = 0.5
"""text-centroid: weight of the class prompt beside the class mean. Source: docs/results.md, "Heads"."""
GDA_RIDGE = 0.1
"""gda: added to the covariance, in units of the mean squared length of a centred feature."""


@dataclass(frozen=True)
class Labelled:
    """What a base learns from."""

    features: ImageFeatures
    labels_S: Tensor
    prototypes_CD: Tensor
    """Unit text feature of every class, in float64."""

    @property
    def num_classes(self) -> int:
        """Number of classes C, with or without images."""
        return len(self.prototypes_CD)

    def take(self, indices: Tensor) -> Labelled:
        """Return some of the images."""
        return Labelled(self.features.take(indices), self.labels_S[indices], self.prototypes_CD)


def text(known: Labelled, strength: float) -> LinearHead:
    """Return the cosines with the class prompts, times `LOGIT_SCALE`."""
    return _on_joint(known, LOGIT_SCALE * known.prototypes_CD)


def ridge(known: Labelled, strength: float) -> LinearHead:
    """Return ridge regression on all levels."""
    targets_SC = one_hot(known.labels_S, known.num_classes)
    return _on_levels(known, _fit_levels(known, targets_SC, strength))


def centroid(known: Labelled, strength: float) -> LinearHead:
    """Return the products with the unit class means, both less the mean of all classes."""
    means_CF = _class_means(known.features.levels_BF, known)
    middle_F = means_CF.mean(dim=0)
    weight_CF = functional.normalize(means_CF - middle_F, dim=-1)
    return _on_levels(known, RidgeFit(weight_CF, -weight_CF @ middle_F))


def gda(known: Labelled, strength: float) -> LinearHead:
    """Return the log-likelihoods of Gaussians with the class means and one covariance, in the dual (Woodbury) form."""
    levels_SF = known.features.levels_BF
    means_CF = _class_means(levels_SF, known)
    middle_F = means_CF.mean(dim=0)
    scale = float((levels_SF - middle_F).square().sum(dim=1).mean())
    within_SF = (levels_SF - means_CF[known.labels_S]) / len(levels_SF) ** 0.5
    shrinkage = GDA_RIDGE * max(scale, 1e-12)
    small_SS = shrinkage * torch.eye(len(levels_SF), dtype=levels_SF.dtype) + within_SF @ within_SF.mT

    def solve(rows_CF: Tensor) -> Tensor:
        solved_CF: Tensor = (rows_CF - torch.linalg.solve(small_SS, within_SF @ rows_CF.mT).mT @ within_SF) / shrinkage
        return solved_CF

    centred_CF = means_CF - middle_F
    weight_CF = solve(centred_CF)
    bias_C = -0.5 * (weight_CF * centred_CF).sum(dim=1) - weight_CF @ middle_F
    return _on_levels(known, RidgeFit(weight_CF, bias_C))


def ridge_text(known: Labelled, strength: float) -> LinearHead:
    """Return the probabilities' stand-in of the prompts, corrected by ridge regression on what they leave to explain."""
    prior_CD = known.prototypes_CD - known.prototypes_CD.mean(dim=0)
    prior_CD = prior_CD / float((known.features.joint_BD @ prior_CD.mT).std().clamp_min(1e-12)) / known.num_classes
    prior_SC = known.features.joint_BD @ prior_CD.mT + 1 / known.num_classes
    left_SC = one_hot(known.labels_S, known.num_classes) - prior_SC
    fit = _fit_levels(known, left_SC, strength)
    head = _on_levels(known, RidgeFit(fit.weight_CF, fit.bias_C + 1 / known.num_classes))
    head.weight_CX[:, fit.weight_CF.shape[1] :] = prior_CD
    return head


def text_centroid(known: Labelled, strength: float) -> LinearHead:
    """Return the cosines with class means in the joint space that are drawn towards the class prompts."""
    means_CD = functional.normalize(_class_means(known.features.joint_BD, known), dim=-1)
    mixed_CD = (1 - TEXT_SHARE) * (means_CD - means_CD.mean(dim=0)) + TEXT_SHARE * (
        known.prototypes_CD - known.prototypes_CD.mean(dim=0)
    )
    return _on_joint(known, LOGIT_SCALE * mixed_CD)


def probe(known: Labelled, strength: float) -> LinearHead:
    """Return ridge regression on the pooled token alone, which is a part of the levels."""
    levels_SF, pooled_SW = known.features.levels_BF, known.features.pooled_BW
    targets_SC = one_hot(known.labels_S, known.num_classes)
    fit = fit_ridge(pooled_SW, known.features.pooled_gram_BB, targets_SC, known.labels_S, strength)
    width = pooled_SW.shape[1]
    num_vectors = levels_SF.shape[1] // width
    before = width * (num_vectors - 1 - NUM_DEPTHS)
    padded_CF = functional.pad(fit.weight_CF * num_vectors**0.5, (before, levels_SF.shape[1] - before - width))
    return _on_levels(known, RidgeFit(padded_CF, fit.bias_C))


BASES: dict[str, Callable[[Labelled, float], LinearHead]] = {
    "text": text,
    "ridge": ridge,
    "centroid": centroid,
    "gda": gda,
    "ridge-text": ridge_text,
    "text-centroid": text_centroid,
    "probe": probe,
}
"""By name; each takes what to learn from and the weight of the squared norm, which only the ridges read."""
READS_RIDGE = ("ridge", "ridge-text", "probe")
"""Bases whose weight of the squared norm is chosen on images that are left out."""
READS_TEXT = ("text", "ridge-text", "text-centroid")
"""Bases that read the class prompts."""


def _fit_levels(known: Labelled, targets_SC: Tensor, strength: float) -> RidgeFit:
    features = known.features
    return fit_ridge(features.levels_BF, features.levels_gram_BB, targets_SC, known.labels_S, strength)


def _class_means(features_SF: Tensor, known: Labelled) -> Tensor:
    """Return the mean feature of every class; of one without images, that of all classes."""
    sums_CF = features_SF.new_zeros(known.num_classes, features_SF.shape[1]).index_add_(0, known.labels_S, features_SF)
    counts_C = torch.bincount(known.labels_S, minlength=known.num_classes)
    weights_S = class_weights(known.labels_S, known.num_classes)
    middle_F = weights_S @ features_SF / weights_S.sum()
    return torch.where(counts_C[:, None] > 0, sums_CF / counts_C[:, None].clamp_min(1), middle_F)


def _on_levels(known: Labelled, fit: RidgeFit) -> LinearHead:
    return LinearHead(functional.pad(fit.weight_CF, (0, known.prototypes_CD.shape[1])), fit.bias_C)


def _on_joint(known: Labelled, weight_CD: Tensor) -> LinearHead:
    return LinearHead(functional.pad(weight_CD, (known.features.levels_BF.shape[1], 0)), weight_CD.new_zeros(len(weight_CD)))
