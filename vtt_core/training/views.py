"""Draw the fixed views of training.

Shapes: V views, H = W side in pixels.
Source: METHOD.md, row "views"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from vtt_core.backbones.preprocess import resize, to_tensor
from vtt_core.contract.manifest import Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.seeding import derived_seed

ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
"""What jitter changes, in this order."""


class Views:
    """Draws the fixed views of a fine-tuning, of each image independently."""

    def __init__(self, preprocessing: Preprocessing, recipe: FinetuneRecipe, seed: int) -> None:
        """Remember what to draw.

        Args:
            preprocessing: of the backbone.
            recipe: number of views and the strength of each change.
            seed: of the fine-tuning.
        """
        self._preprocessing = preprocessing
        self._recipe = recipe
        self._seed = seed

    def of_image(self, image: Image.Image, index: int) -> Tensor:
        """Return the views (of one image, 3, H, W), the plain one first.

        Args:
            image: RGB support image.
            index: its place in the support set.
        """
        small, views = resize(image, self._preprocessing), []
        for kind, draw_view in enumerate(VIEW_KINDS[: self._recipe.num_views]):
            source = Random(derived_seed(self._seed, f"view {kind}", index))
            views.append(to_tensor(draw_view(small, self._recipe, source), self._preprocessing))
        return torch.stack(views)


def stack_views(views: Sequence[Tensor]) -> Tensor:
    """Return views_V3HW of all images in the order (view, image): all plain ones first.

    Args:
        views: of each image, what `Views.of_image` gave.
    """
    return torch.stack(list(views), dim=1).flatten(0, 1)


def _plain(image: Image.Image, recipe: FinetuneRecipe, source: Random) -> Image.Image:
    return image


def _rotate(image: Image.Image, recipe: FinetuneRecipe, source: Random) -> Image.Image:
    angle = source.uniform(-recipe.rotation_degrees, recipe.rotation_degrees)
    return image.rotate(angle, Image.Resampling.NEAREST)


def _jitter(image: Image.Image, recipe: FinetuneRecipe, source: Random) -> Image.Image:
    for enhancer in ENHANCERS:
        image = enhancer(image).enhance(1 + recipe.jitter_strength * source.uniform(-1, 1))
    return image


def _flip(image: Image.Image, recipe: FinetuneRecipe, source: Random) -> Image.Image:
    return ImageOps.mirror(image) if source.random() < recipe.flip_probability else image


def _all_three(image: Image.Image, recipe: FinetuneRecipe, source: Random) -> Image.Image:
    return _flip(_jitter(_rotate(image, recipe, source), recipe, source), recipe, source)


VIEW_KINDS: tuple[Callable[[Image.Image, FinetuneRecipe, Random], Image.Image], ...] = (
    _plain,
    _all_three,
    _rotate,
    _jitter,
    _flip,
)
"""The five views of the released recipe, in its order."""
