"""Hold the features of images as classifiers read them.

Shapes: B images, V level vectors of a readout, W tower width, F = V x W, D joint size, X = F + D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.towers import Readout


def head_input(readout: Readout) -> Tensor:
    """Return phi_BX, what a `LinearHead` multiplies: the levels, together of unit length, then the unit joint feature."""
    levels_BVW = functional.normalize(readout.levels_BVW, dim=-1)
    levels_BF = levels_BVW.flatten(1) / levels_BVW.shape[1] ** 0.5
    return torch.cat((levels_BF, functional.normalize(readout.joint_BD, dim=-1)), dim=-1)


@dataclass(frozen=True)
class ImageFeatures:
    """Features of some images in float64, on the CPU: a closed form of a few images costs little, and rounding more."""

    levels_BF: Tensor
    """All level vectors of a readout, each of the same length, together of unit length."""
    joint_BD: Tensor
    """Feature in the joint space of images and texts, of unit length."""
    pooled_BW: Tensor
    """Last token before the projection, of unit length: what the linear probe reads."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.levels_BF)

    @cached_property
    def levels_gram_BB(self) -> Tensor:
        """Products of every two images' levels: computed once, and then a part of it serves each fold."""
        return self.levels_BF @ self.levels_BF.mT

    @cached_property
    def pooled_gram_BB(self) -> Tensor:
        """Products of every two images' pooled tokens."""
        return self.pooled_BW @ self.pooled_BW.mT

    def take(self, indices: Tensor | Sequence[int]) -> ImageFeatures:
        """Return the features of some of the images, and those products of theirs that are there already."""
        indices = torch.as_tensor(indices)
        taken = ImageFeatures(self.levels_BF[indices], self.joint_BD[indices], self.pooled_BW[indices])
        for name in ("levels_gram_BB", "pooled_gram_BB"):
            if name in self.__dict__:
                taken.__dict__[name] = self.__dict__[name][indices][:, indices]
        return taken

    def flat(self) -> Tensor:
        """Return phi_BX, the input of a `LinearHead`."""
        return torch.cat((self.levels_BF, self.joint_BD), dim=-1)


def features_of(readout: Readout) -> ImageFeatures:
    """Return the features of a readout."""
    exact = Readout(*(part.detach().cpu().double() for part in readout))
    levels_BF, joint_BD = head_input(exact).tensor_split([exact.levels_BVW[0].numel()], dim=1)
    return ImageFeatures(levels_BF, joint_BD, functional.normalize(exact.pooled_BW, dim=-1))
