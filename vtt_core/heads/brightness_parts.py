"""Compare images by the brightness of their parts, which a copy keeps and two photos of one kind of thing do not.

Shapes: S images, P parts of an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

PARTS_SIDE = 16
"""Parts of a side."""


def brightness_parts(image: Image.Image) -> NDArray[np.float64]:
    """Return the brightness of 16 x 16 parts, with mean 0 and length 1; all 0 for an even image.

    Args:
        image: upright, of any size.
    """
    small = image.convert("L").resize((PARTS_SIDE, PARTS_SIDE), Image.Resampling.BOX)
    centred = np.asarray(small, dtype=np.float64)
    centred = centred - centred.mean()
    length = float(np.linalg.norm(centred))
    parts: NDArray[np.float64] = centred / length if length > 0 else centred
    return parts


def part_correlations(parts: Sequence[NDArray[np.float64]]) -> Tensor:
    """Return correlation_SS of the parts of any two images, the second mirrored if that is larger."""
    stacked = np.stack(list(parts))
    straight_SP = torch.from_numpy(stacked.reshape(len(stacked), -1))
    mirrored_SP = torch.from_numpy(np.ascontiguousarray(stacked[:, :, ::-1]).reshape(len(stacked), -1))
    return torch.maximum(straight_SP @ straight_SP.mT, straight_SP @ mirrored_SP.mT)
