"""Show where the class token looks: attention over an image's patches, of the frozen vision tower or with a LoRA.

Shapes: B images, L layers, T tokens, G patches of a side; deep prompts: J blocks, P tokens, W vision width.
Source: Zhang et al. 2026, arXiv:2603.05235, "attention maps"; rollout: Abnar & Zuidema 2020, arXiv:2005.00928.
Differs: which layer and heads the published maps show is not said; here it is the last block and the mean over its heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.towers import AnyLora
from vtt_core.contract.errors import InputError, UnsupportedBackboneError
from vtt_core.lora.layers import TowerLora
from vtt_core.views import preprocess


@runtime_checkable
class AttentiveTower(Protocol):
    """A vision tower that tells its attention, class token first."""

    def layer_attention(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return attention_BLTT of every block, the mean over its heads."""


def class_attention(
    backbone: Backbone,
    images: Sequence[Image.Image],
    lora: TowerLora | None = None,
    prompts_JPW: Tensor | None = None,
    *,
    layer: int | None = None,
    is_rollout: bool = False,
) -> Tensor:
    """Return maps_BGG: how much the class token reads of each patch; with what it reads of itself and of prompts they sum to 1.

    Args:
        backbone: frozen.
        images: RGB, of any size; resized and normalised here.
        lora: low-rank layers of the vision tower, or None for the frozen tower.
        prompts_JPW: tokens that its first blocks read beside an image, or None.
        layer: block to look into, 1 first; None for the last.
        is_rollout: follow the attention through all blocks up to this one, in place of this one alone.

    Raises:
        InputError: the tower has no such layer.
        UnsupportedBackboneError: the tower does not read an image by a class token.
    """
    tower = backbone.vision_tower
    if not isinstance(tower, AttentiveTower):
        raise UnsupportedBackboneError(
            expected="a vision tower with a class token and open_clip's own blocks",
            got=repr(backbone.backbone_id),
            remedy="Choose a backbone such as 'mini' or a CLIP of OpenAI's kind",
        )
    number = tower.num_layers if layer is None else layer
    if not 1 <= number <= tower.num_layers:
        raise InputError(expected=f"a layer from 1 to {tower.num_layers}", got=str(layer), remedy="Choose one of these")
    pixels_B3HW = preprocess(images, backbone.preprocessing).to(backbone.device, backbone.dtype)
    with torch.inference_mode():
        attention_BLTT = tower.layer_attention(pixels_B3HW, lora, prompts_JPW)[:, :number]
        read_BTT = rollout(attention_BLTT) if is_rollout else attention_BLTT[:, -1]
    side = isqrt(tower.num_tokens - 1)
    maps_BGG: Tensor = read_BTT[:, 0, 1 : tower.num_tokens].unflatten(1, (side, side))
    return maps_BGG


def rollout(attention_BLTT: Tensor) -> Tensor:
    """Return reach_BTT: how much of each input token is in each token after the last block, by attention alone.

    A block gives half of a token what it reads and leaves half as it was, for its residual path.
    """
    same_TT = torch.eye(attention_BLTT.shape[-1], dtype=attention_BLTT.dtype, device=attention_BLTT.device)
    reach_BTT = same_TT.expand(len(attention_BLTT), -1, -1)
    for layer_BTT in attention_BLTT.unbind(dim=1):
        reach_BTT = (layer_BTT + same_TT) / 2 @ reach_BTT
    return reach_BTT
