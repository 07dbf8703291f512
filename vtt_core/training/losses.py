"""The two losses of a step.

Each is the mean over the images of a batch. Dimensions before those named are kept: E fine-tunings give E losses.

Shapes: B images, C classes, D joint size.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, steps 2 and 4.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def class_logits(features_BD: Tensor, prototypes_CD: Tensor, logit_scale: float) -> Tensor:
    """Return logits_BC: the scaled cosine of every image feature with every prototype.

    Args:
        features_BD: image features, not normalised.
        prototypes_CD: text features of the class prompts, unit length.
        logit_scale: factor on the cosine.
    """
    return logit_scale * functional.normalize(features_BD, dim=-1) @ prototypes_CD.mT


def classification_loss(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Return L_ce, the mean cross-entropy."""
    of_images = functional.cross_entropy(logits_BC.flatten(0, -2), labels_B.flatten(), reduction="none")
    return of_images.view(labels_B.shape).mean(dim=-1)


def absorption_loss(absorbed_BD: Tensor, features_BD: Tensor) -> Tensor:
    """Return L_vtt, minus the mean cosine of what the text tower absorbed with the image feature.

    Neither side is detached: gradients reach the LoRA through both.
    """
    return -functional.cosine_similarity(absorbed_BD, features_BD, dim=-1).mean(dim=-1)
