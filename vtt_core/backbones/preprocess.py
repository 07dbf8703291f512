"""Turn decoded images into the tensors that a backbone reads.

Shapes: B images, H = W side in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vtt_core.contract.manifest import Preprocessing


def preprocess(images: Iterable[Image.Image], preprocessing: Preprocessing) -> Tensor:
    """Return images_B3HW: squashed to the backbone's side and normalised.

    Args:
        images: RGB images of any size.
        preprocessing: side, mean and deviation of the backbone.
    """
    return torch.stack([to_tensor(resize(image, preprocessing), preprocessing) for image in images])


def resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Return the image squashed to the backbone's square side."""
    side = preprocessing.side_pixels
    return image.resize((side, side), Image.Resampling.BILINEAR)


def to_tensor(image: Image.Image, preprocessing: Preprocessing) -> Tensor:
    """Return one normalised (3, H, W) float32 tensor of an RGB image."""
    mean_311, std_311 = (np.array(values, np.float32).reshape(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    channels_3HW = np.divide(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), 255, dtype=np.float32)
    channels_3HW -= mean_311
    channels_3HW /= std_311
    return torch.from_numpy(channels_3HW)
