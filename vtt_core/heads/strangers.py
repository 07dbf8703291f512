"""Tell what nobody would send on purpose: noise, flat colours, patterns, text and drawings.

Familiarity alone lets some of it pass: a black image is like a tile of the sea. So one more row is learnt: the support images
against generated ones. It is a part of the head's product and needs no support image to be held out.

Shapes: S support images, G generated images, F size of all levels.
"""

from __future__ import annotations

import torch

from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.linear_head import LinearHead
from vtt_core.heads.ridge import DEFAULT_RIDGE, fit_ridge, one_hot

STRANGER_SCORE = 0.5
"""Score from which an image is more like the generated ones than like the support images."""


def learn_strangers(features: ImageFeatures, generated: ImageFeatures) -> LinearHead:
    """Return a row whose score is about 0 for images like the support images, and about 1 for images like generated ones.

    Args:
        features: of the support images, by the tower that will be served.
        generated: of generated images, by the same tower.
    """
    levels_BF = torch.cat((features.levels_BF, generated.levels_BF))
    labels_B = torch.cat((torch.zeros(len(features), dtype=torch.long), torch.ones(len(generated), dtype=torch.long)))
    fit = fit_ridge(levels_BF, levels_BF @ levels_BF.mT, one_hot(labels_B, 2), labels_B, DEFAULT_RIDGE)
    return LinearHead(fit.weight_CF[1:], fit.bias_C[1:])
