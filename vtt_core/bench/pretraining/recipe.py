"""Name every number of the training of `mini`, and the schedules that follow from them.

The learning rate warms up, stays, and falls over the last part of the run: until that part begins, a
run does not depend on its length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainRecipe:
    """Every number of the training except its length."""

    seed: int = 0
    """Decides the initial weights, the order of images, crops, names and dropped patches."""

    num_words: int = 6000
    """Frequent words of the tokenizer that the text stage teaches beside the names of the classes."""
    text_steps: int = 3000
    """Steps of the text stage that teach everything alike."""
    naming_steps: int = 400
    """Steps after these that teach mostly the names of the classes."""
    naming_learning_rate_factor: float = 0.3
    """Of the learning rates of the text stage, in those steps."""
    text_batch_size: int = 128
    """Captions in a step of the text stage."""
    text_learning_rate: float = 1e-3
    """AdamW's in the text stage, after its warm-up; it falls along a cosine, as does Muon's."""

    batch_size: int = 128
    """Images in a step of the image stage."""
    learning_rate: float = 1e-3
    """AdamW's in the stable phase: all parameters but the matrices of the blocks and the projection."""
    matrix_learning_rate: float = 0.02
    """Muon's, for those matrices, in both stages."""
    weight_decay: float = 0.05
    """Of both optimisers, on matrices other than embeddings, in the image stage."""
    warmup_steps: int = 100
    """Steps of the linear warm-up of the image stage."""
    decay_share: float = 0.65
    """Part of the image stage, at its end, in which the learning rate falls to zero."""
    growth: tuple[tuple[int, int], ...] = ((0, 3), (3000, 6), (9000, 12))
    """(first step, number of vision blocks that learn); the blocks above pass their input on."""
    patch_dropout: float = 0.5
    """Part of the patches that the vision tower does not see."""
    whole_images_share: float = 0.08
    """Part of the image stage, at its end, that drops no patch."""
    turning_step: int = 14_000
    """First step that shows turned and grey images."""
    turned_share: float = 0.5
    """Part of the images that are then shown in any of eight orientations."""
    grey_share: float = 0.15
    """Part of the images that then lose their colours."""
    label_smoothing: float = 0.1
    """Probability spread evenly over the classes."""
    logit_scale: float = 30.0
    """Factor on the cosine between an image and the names of all classes."""
    gradient_norm: float = 1.0
    """Bound of the norm of AdamW's gradients; Muon's steps do not depend on it."""


def learning_rate_factor(step: int, num_steps: int, recipe: PretrainRecipe) -> float:
    """Return a step's share of the learning rate: linear warm-up, stable, then 1 - sqrt to zero."""
    start = decay_start(num_steps, recipe)
    fall = max(0, step - start) / max(1, num_steps - start)
    return min(1.0, (step + 1) / recipe.warmup_steps) * (1 - math.sqrt(fall))


def decay_start(num_steps: int, recipe: PretrainRecipe) -> int:
    """Return the first step whose learning rate depends on the length of the run."""
    return round(num_steps * (1 - recipe.decay_share))


def vision_depth(step: int, recipe: PretrainRecipe) -> int:
    """Return how many vision blocks learn at a step."""
    return max(depth for first_step, depth in recipe.growth if first_step <= step)
