"""The settings for training `mini`, and its schedules.

The learning rate warms up, stays constant, and falls over the last part of the run. Until then, a run does not depend on its
length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainRecipe:
    """All settings of the training except its length."""

    seed: int = 0
    """Of the initial weights, the order of images, crops, names and dropped patches."""

    num_words: int = 6000
    """Frequent words that the text stage trains on, besides the class names."""
    text_steps: int = 3000
    """Steps of the text stage on all phrases."""
    naming_steps: int = 400
    """Further steps, mostly on the class names."""
    naming_learning_rate_factor: float = 0.3
    """Factor on the learning rates in these further steps."""
    text_batch_size: int = 128
    """Captions in a step."""
    text_learning_rate: float = 1e-3
    """Of AdamW in the text stage, after warm-up. It falls along a cosine, like Muon's."""

    batch_size: int = 128
    """Images in a step."""
    learning_rate: float = 1e-3
    """Of AdamW in the constant phase, for all parameters except the matrices of the blocks and the projection."""
    matrix_learning_rate: float = 0.02
    """Of Muon, for these matrices, in both stages."""
    weight_decay: float = 0.05
    """Of both optimisers in the image stage, for matrices other than embeddings."""
    warmup_steps: int = 100
    """Steps of linear warm-up in the image stage."""
    decay_share: float = 0.65
    """Last part of the image stage, in which the learning rate falls to zero."""
    growth: tuple[tuple[int, int], ...] = ((0, 3), (3000, 6), (9000, 12))
    """(first step, number of trained vision blocks). The blocks above pass their input through."""
    patch_dropout: float = 0.5
    """Fraction of the patches that are dropped."""
    whole_images_share: float = 0.08
    """Last part of the image stage, in which no patches are dropped."""
    turning_step: int = 14_000
    """First step with turned and grey images."""
    turned_share: float = 0.5
    """Fraction of the images that then get one of eight random orientations."""
    grey_share: float = 0.15
    """Fraction of the images that then become grey."""
    label_smoothing: float = 0.1
    """Probability that is spread evenly over the classes."""
    logit_scale: float = 30.0
    """Factor on the cosine between an image and the names of all classes."""
    gradient_norm: float = 1.0
    """Largest norm of AdamW's gradients. Muon's steps do not depend on it."""


def learning_rate_factor(step: int, num_steps: int, recipe: PretrainRecipe) -> float:
    """Return a step's factor on the learning rate: linear warm-up, constant, then 1 - sqrt down to zero."""
    start = decay_start(num_steps, recipe)
    fall = max(0, step - start) / max(1, num_steps - start)
    return min(1.0, (step + 1) / recipe.warmup_steps) * (1 - math.sqrt(fall))


def decay_start(num_steps: int, recipe: PretrainRecipe) -> int:
    """Return the first step whose learning rate depends on the length of the run."""
    return round(num_steps * (1 - recipe.decay_share))


def vision_depth(step: int, recipe: PretrainRecipe) -> int:
    """Return how many vision blocks are trained at a step."""
    return max(depth for first_step, depth in recipe.growth if first_step <= step)
