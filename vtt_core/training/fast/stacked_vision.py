"""Run the vision tower once for the batches of many fine-tunings, and give the gradients of their LoRAs for several losses.

Two forms of the same numbers: by hand (`backbones/vision_pass.py`) where the tower is CLIP's own, else by autograd.

Shapes: E fine-tunings, B images of all of them, L layers, D joint size, W tower width, P = 3 projections, R rank.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.lora_pass import LoraRows
from vtt_core.backbones.towers import VisionTower
from vtt_core.backbones.vision_pass import Trace, VisionPass
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.stacked import StackedLora

LoraGradient = tuple[Tensor, Tensor]
"""Of A_ELPRW and B_ELPWR."""


class StackedVision(ABC):
    """One forward pass at a time, and the backward passes of its losses."""

    @abstractmethod
    def forward(self, images_B3HW: Tensor, lora: StackedLora, dropout: Dropout | None) -> Tensor:
        """Return vision_BLD; gradients are to be taken with respect to it."""

    @abstractmethod
    def backward(self, cotangents_BLD: Sequence[Tensor]) -> list[LoraGradient]:
        """Return the gradients of the LoRAs for each cotangent of what `forward` returned last."""


class AutogradVision(StackedVision):
    """Any tower."""

    def __init__(self, tower: VisionTower) -> None:
        """Take the tower."""
        self._tower = tower
        self._vision_BLD: Tensor | None = None
        self._matrices: LoraGradient | None = None

    def forward(self, images_B3HW: Tensor, lora: StackedLora, dropout: Dropout | None) -> Tensor:
        """Return vision_BLD."""
        self._matrices = (lora.A_ELPRW, lora.B_ELPWR)
        self._vision_BLD = self._tower.layer_features(images_B3HW, lora, dropout)
        return self._vision_BLD.detach().requires_grad_()

    def backward(self, cotangents_BLD: Sequence[Tensor]) -> list[LoraGradient]:
        """Return the gradients for each cotangent."""
        assert self._vision_BLD is not None
        assert self._matrices is not None
        vision_BLD, self._vision_BLD = self._vision_BLD, None
        gradients: list[LoraGradient] = []
        for index, cotangent_BLD in enumerate(cotangents_BLD):
            is_last = index == len(cotangents_BLD) - 1
            on_A, on_B = torch.autograd.grad(vision_BLD, self._matrices, cotangent_BLD, retain_graph=not is_last)
            gradients.append((on_A, on_B))
        return gradients


class HandVision(StackedVision):
    """CLIP's own tower."""

    def __init__(self, tower: ClipVisionTower) -> None:
        """Take the tower's weights."""
        self._tower, self._pass = tower, VisionPass(tower)
        self._trace: Trace | None = None
        self._projected: tuple[Tensor, Tensor] | None = None

    def forward(self, images_B3HW: Tensor, lora: StackedLora, dropout: Dropout | None) -> Tensor:
        """Return vision_BLD."""
        frozen = StackedLora(lora.A_ELPRW.detach(), lora.B_ELPWR.detach(), lora.scaling)
        class_BLW, self._trace = self._pass.forward(images_B3HW, [LoraRows(slice(0, len(images_B3HW)), frozen, dropout)])
        class_BLW.requires_grad_()
        vision_BLD = self._tower.project(class_BLW)
        self._projected = class_BLW, vision_BLD
        return vision_BLD.detach().requires_grad_()

    def backward(self, cotangents_BLD: Sequence[Tensor]) -> list[LoraGradient]:
        """Return the gradients for each cotangent, from one backward pass for all of them."""
        assert self._projected is not None
        assert self._trace is not None
        class_BLW, vision_BLD = self._projected
        of_class = [torch.autograd.grad(vision_BLD, class_BLW, one, retain_graph=True)[0] for one in cotangents_BLD]
        (gradients,) = self._pass.backward(self._trace, torch.stack(of_class))
        self._projected = self._trace = None
        # (L, P, E, ...) of each cotangent becomes (E, L, P, ...).
        pairs = zip(gradients.A_KLPRW, gradients.B_KLPWR, strict=True)
        return [(on_A.movedim(2, 0), on_B.movedim(2, 0)) for on_A, on_B in pairs]


def make_stacked_vision(tower: VisionTower) -> StackedVision:
    """Return the faster form that the tower allows."""
    return HandVision(tower) if isinstance(tower, ClipVisionTower) else AutogradVision(tower)
