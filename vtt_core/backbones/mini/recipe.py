"""Name every number of the training of `mini`, and the schedules that follow from them.

The learning rate warms up, stays, and falls over the last part of the run: until that part begins, a
run does not depend on its length.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainRecipe:
    """Every number of the training except its length."""

    seed: int = 0
    """Decides the initial weights, the order of images, crops, captions and dropped patches."""
    text_steps: int = 800
    """Steps of the first stage, which teaches the text tower alone."""
    text_batch_size: int = 128
    """Captions in a step of the first stage."""
    text_learning_rate: float = 1e-3
    """Of the first stage, after its warm-up; it falls along a cosine."""
    num_words: int = 6000
    """Frequent words that the first stage teaches beside the names of the classes."""
    num_pairs: int = 6000
    """Pairs of those words that it teaches."""
    batch_size: int = 64
    """Images in a step."""
    learning_rate: float = 1e-3
    """Of the stable phase."""
    weight_decay: float = 0.05
    """AdamW decay, on matrices other than embeddings."""
    warmup_steps: int = 300
    """Steps of the linear warm-up."""
    decay_share: float = 0.35
    """Part of the run, at its end, in which the learning rate falls to zero."""
    patch_dropout: float = 0.5
    """Part of the patches that the vision tower does not see, until the last half of the decay."""
    label_smoothing: float = 0.1
    """Probability spread evenly over the classes."""
    logit_scale: float = 30.0
    """Factor on the cosine between an image and the captions of all classes."""
    gradient_norm: float = 1.0
    """Bound of the gradient's norm."""


def learning_rate(step: int, num_steps: int, recipe: PretrainRecipe) -> float:
    """Return the learning rate of a step: linear warm-up, stable, then 1 - sqrt to zero."""
    fall = (step - decay_start(num_steps, recipe)) / max(1, num_steps - decay_start(num_steps, recipe))
    factor = min(1.0, (step + 1) / recipe.warmup_steps) * (1 - max(0.0, fall) ** 0.5)
    return float(recipe.learning_rate * factor)


def decay_start(num_steps: int, recipe: PretrainRecipe) -> int:
    """Return the first step whose learning rate depends on the length of the run."""
    return round(num_steps * (1 - recipe.decay_share))
