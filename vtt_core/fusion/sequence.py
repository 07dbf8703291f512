"""Order the per-layer features of both towers into the sequence the state-space scan reads.

Shapes: B images, L transformer layers, D joint embedding size, S = 2L + 1 scan steps (paper: 2L).
Source: Zhang et al. 2026, arXiv:2603.05235, vision-text fusion; authors' code
    zhenyuZ-HUST/CVPR26-VtT@93e79e7, VtT.py:322-341.
Differs: the authors fix S = 25 (12 layers). Here S follows L, and towers of different depth are
    paired by relative depth.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vtt_core.contract.errors import LayerMismatchError

SequenceForm = Literal["released", "paper"]


def pair_layers(num_vision_layers: int, num_text_layers: int) -> tuple[list[int], list[int]]:
    """Return, for each pair, the index of its vision layer and of its text layer, shallow first.

    There are as many pairs as the deeper tower has layers, so that none of either is left out; the
    shallower tower's layers repeat. Both last layers always meet. Equal depths pair l with l.

    Args:
        num_vision_layers: depth of the vision tower, at least 1.
        num_text_layers: depth of the text tower, at least 1.
    """
    num_pairs = max(num_vision_layers, num_text_layers)

    def by_relative_depth(num_layers: int) -> list[int]:
        return [-(-pair * num_layers // num_pairs) - 1 for pair in range(1, num_pairs + 1)]

    return by_relative_depth(num_vision_layers), by_relative_depth(num_text_layers)


def interleave_layers(vision_BLD: Tensor, text_BLD: Tensor, form: SequenceForm = "released") -> Tensor:
    """Return the scan sequence, deepest layer first.

    Released: step 0 is the final image feature; then each layer gives its text feature, then its vision feature, from
    layer L down to layer 1. Paper: each layer gives its vision feature, then its text feature, and nothing comes twice.

    Dimensions before those named are kept.

    Args:
        vision_BLD: class-token feature of every vision layer, projected, layer 1 first.
        text_BLD: end-of-text feature of every text layer for the label of each image.
        form: which of the two.

    Returns:
        sequence_BSD, same dtype and device as the inputs.

    Raises:
        LayerMismatchError: batch or joint size differ.
    """
    if vision_BLD.shape[:-2] != text_BLD.shape[:-2] or vision_BLD.shape[-1] != text_BLD.shape[-1]:
        raise LayerMismatchError(
            expected="vision and text features of the same images and joint size",
            got=f"{tuple(vision_BLD.shape)} and {tuple(text_BLD.shape)}",
            remedy="Give each image the text features of its own class from the same backbone",
        )
    vision_layers, text_layers = pair_layers(vision_BLD.shape[-2], text_BLD.shape[-2])
    vision, text = vision_BLD.unbind(dim=-2), text_BLD.unbind(dim=-2)
    pairs = [(text[of_text], vision[of_vision]) for of_text, of_vision in zip(text_layers, vision_layers, strict=True)]
    if form == "paper":
        return torch.stack([feature_BD for pair in reversed(pairs) for feature_BD in reversed(pair)], dim=-2)
    return torch.stack([vision[-1], *(feature_BD for pair in reversed(pairs) for feature_BD in pair)], dim=-2)


def num_scan_steps(num_vision_layers: int, num_text_layers: int, form: SequenceForm = "released") -> int:
    """Return S for two towers of these depths."""
    num_features = 2 * max(num_vision_layers, num_text_layers)
    return num_features if form == "paper" else num_features + 1
