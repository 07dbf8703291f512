"""Run the vision tower once for a batch, then back for each of several losses: by hand, or by autograd.

Both give the same numbers. The form by hand (`backbones/vision_pass.py`) needs CLIP's own tower and saves most of the time.

Shapes: E stacked fine-tunings, B images of all of them, L layers, D joint size, W tower width, P = 3 projections, R rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.towers import VisionTower
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.lora.stacked_lora import StackedLora

LoraGradient = tuple[Tensor, Tensor]
"""Of A and B: of A_LPRW and B_LPWR, or of a stack's A_ELPRW and B_ELPWR."""
Backward = Callable[[Sequence[Tensor]], list[LoraGradient]]
"""Takes a cotangent of vision_BLD for each loss and gives the gradients of each; may be called once."""
RunVision = Callable[[Tensor, TowerLora | StackedLora, Dropout | None], tuple[Tensor, Backward]]
"""Takes images_B3HW, the LoRA and its dropout; gives vision_BLD, a leaf of autograd, and the way back."""


def vision_by_hand(tower: ClipVisionTower, product_dtype: torch.dtype | None = None) -> RunVision:
    """Return the form by hand: one backward pass for all losses; the arguments are those of `VisionPass`."""
    vision_pass = VisionPass(tower, product_dtype)

    def run(images_B3HW: Tensor, lora: TowerLora | StackedLora, dropout: Dropout | None) -> tuple[Tensor, Backward]:
        class_BLW, trace = vision_pass.forward(images_B3HW, lora, dropout)
        class_BLW.requires_grad_()
        vision_BLD = tower.project(class_BLW)

        def backward(cotangents_BLD: Sequence[Tensor]) -> list[LoraGradient]:
            of_class = [_gradients(vision_BLD, [class_BLW], one, retain_graph=True)[0] for one in cotangents_BLD]
            gradients = vision_pass.backward(trace, torch.stack(of_class))
            pairs = list(zip(gradients.A_KLPRW, gradients.B_KLPWR, strict=True))
            if isinstance(lora, TowerLora):
                return pairs
            return [(on_A.movedim(2, 0), on_B.movedim(2, 0)) for on_A, on_B in pairs]  # (L, P, E, ...) becomes (E, L, P, ...)

        return vision_BLD.detach().requires_grad_(), backward

    return run


def vision_by_autograd(tower: VisionTower) -> RunVision:
    """Return the form for any tower."""

    def run(images_B3HW: Tensor, lora: TowerLora | StackedLora, dropout: Dropout | None) -> tuple[Tensor, Backward]:
        matrices = (lora.lora_A, lora.lora_B) if isinstance(lora, TowerLora) else (lora.A_ELPRW, lora.B_ELPWR)
        vision_BLD = tower.layer_features(images_B3HW, lora, dropout)

        def backward(cotangents_BLD: Sequence[Tensor]) -> list[LoraGradient]:
            gradients: list[LoraGradient] = []
            for cotangent_BLD in cotangents_BLD:
                is_last = len(gradients) == len(cotangents_BLD) - 1
                on_A, on_B = _gradients(vision_BLD, matrices, cotangent_BLD, retain_graph=not is_last)
                gradients.append((on_A, on_B))
            return gradients

        return vision_BLD.detach().requires_grad_(), backward

    return run


def run_of(tower: VisionTower, product_dtype: torch.dtype | None = None) -> RunVision:
    """Return the faster form that the tower allows; the arguments are those of `VisionPass`."""
    return vision_by_hand(tower, product_dtype) if isinstance(tower, ClipVisionTower) else vision_by_autograd(tower)


def _gradients(output: Tensor, inputs: Sequence[Tensor], cotangent: Tensor, *, retain_graph: bool) -> tuple[Tensor, ...]:
    """Return what `torch.autograd.grad` gives for a cotangent. Given one, it would import sympy, for up to two seconds."""
    return torch.autograd.grad((output * cotangent).sum(), inputs, retain_graph=retain_graph)
