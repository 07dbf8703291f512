"""Drop inputs of the LoRA while it is trained: for q, k and v separately, drawn for a whole step at once.

A random byte decides about each input. Eight of them come from one 64-bit number, which is several times faster than a
random float each; in a step on a CPU that is the difference between a tenth and a hundredth of the time.

Shapes: B images, T tokens, L layers, P = 3 projections (q, k, v), W tower width.
Source: METHOD.md, row "LoRA".
Differs: the probability is rounded to 1/256; what is kept is scaled by the rounded one, so that the mean stays. The
    recipe's 0.25 is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BYTE_VALUES = 256
BYTES_OF_INT64 = 8


@dataclass(frozen=True)
class LayerDropout:
    """What one layer keeps."""

    bytes_PBTW: Tensor
    """A random byte for every input of each projection."""
    num_dropped: int
    """Of the 256 values of a byte, the lowest, that drop an input."""

    @property
    def scale(self) -> float:
        """Factor on what is kept."""
        return BYTE_VALUES / (BYTE_VALUES - self.num_dropped)

    def apply(self, x_BTW: Tensor, projection: int) -> Tensor:
        """Return the inputs that a projection keeps, scaled, and zeros.

        Args:
            x_BTW: input of the projection; the first tokens alone are enough. More dimensions may stand before.
            projection: 0 for q, 1 for k, 2 for v.
        """
        kept_BTW = self.bytes_PBTW[projection, :, : x_BTW.shape[-2]] >= self.num_dropped
        return x_BTW * kept_BTW * self.scale


@dataclass(frozen=True)
class Dropout:
    """What one step keeps."""

    bytes_LPBTW: Tensor
    num_dropped: int

    def layer(self, index: int) -> LayerDropout:
        """Return what block `index` keeps, 0 first."""
        return LayerDropout(self.bytes_LPBTW[index], self.num_dropped)

    def rows(self, rows: slice) -> Dropout:
        """Return what some images of the batch keep."""
        return Dropout(self.bytes_LPBTW[:, :, rows], self.num_dropped)


def draw_dropout(probability: float, shape: tuple[int, int, int, int, int], generator: torch.Generator) -> Dropout | None:
    """Draw a step's dropout, or return None where nothing is dropped.

    Args:
        probability: of dropping an input, below 1.
        shape: (layers, projections, images, tokens, width).
        generator: source of the bytes, on the device where they are needed.
    """
    num_dropped = round(BYTE_VALUES * probability)
    if num_dropped == 0:
        return None
    num_bytes = torch.Size(shape).numel()
    words = torch.empty(-(-num_bytes // BYTES_OF_INT64), dtype=torch.int64, device=generator.device)
    words.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    return Dropout(words.view(torch.uint8)[:num_bytes].view(shape), num_dropped)
