"""Show where the class token looks: attention over an image's patches, of the frozen vision tower or with a LoRA.

Of a tower that pools its tokens by attention (SigLIP2, PE-Core), the pooling takes the class token's place.

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
from vtt_core.backbones.preprocess import preprocess
from vtt_core.backbones.towers import AnyLora
from vtt_core.contract.errors import InputError, UnsupportedBackboneError
from vtt_core.lora.layers import TowerLora


@runtime_checkable
class AttentiveTower(Protocol):
    """A vision tower whose feature is its class token, which comes first."""

    def layer_attention(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return attention_BLTT of every block, the mean over its heads."""


@runtime_checkable
class PoolingTower(Protocol):
    """A vision tower that may pool its tokens by attention."""

    def pool_attention(
        self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor | None:
        """Return how much the pooling reads of each token of an image, or None."""


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
        UnsupportedBackboneError: the tower reads an image neither by a class token nor by attention pooling, or a layer was
            chosen of one that pools.
    """
    tower = backbone.vision_tower
    pixels_B3HW = preprocess(images, backbone.preprocessing).to(backbone.device, backbone.dtype)
    number = tower.num_layers if layer is None else layer
    if not 1 <= number <= tower.num_layers:
        raise InputError(expected=f"a layer from 1 to {tower.num_layers}", got=str(layer), remedy="Choose one of these")
    with torch.inference_mode():
        if isinstance(tower, AttentiveTower):
            attention_BLTT = tower.layer_attention(pixels_B3HW, lora, prompts_JPW)[:, :number]
            shares_BT = (rollout(attention_BLTT) if is_rollout else attention_BLTT[:, -1])[:, 0]
        else:
            shares_BT = _pool_shares(backbone, pixels_B3HW, lora, prompts_JPW, is_chosen=layer is not None or is_rollout)
    side = isqrt(tower.num_tokens)  # whether there is one token more or not
    maps_BGG: Tensor = shares_BT[:, tower.num_tokens - side * side : tower.num_tokens].unflatten(1, (side, side))
    return maps_BGG


def _pool_shares(
    backbone: Backbone, pixels_B3HW: Tensor, lora: TowerLora | None, prompts_JPW: Tensor | None, *, is_chosen: bool
) -> Tensor:
    """Return shares_BT of a tower without a class token of CLIP's kind, where no layer was chosen."""
    tower = backbone.vision_tower
    if is_chosen:
        raise UnsupportedBackboneError(
            expected="a vision tower whose feature is its class token, to choose a layer or follow attention through all",
            got=f"{backbone.backbone_id!r}, whose tokens are pooled after the last layer",
            remedy="Leave the layer and the rollout out: the pooling's own attention is shown then",
        )
    shares_BT = tower.pool_attention(pixels_B3HW, lora, prompts_JPW) if isinstance(tower, PoolingTower) else None
    if shares_BT is None:
        raise UnsupportedBackboneError(
            expected="a vision tower with a class token of CLIP's kind, or one that pools by attention",
            got=f"{backbone.backbone_id!r}, which has neither",
            remedy="Choose a CLIP, SigLIP or PE-Core that `vtt backbones` lists",
        )
    return shares_BT


def rollout(attention_BLTT: Tensor) -> Tensor:
    """Return reach_BTT: how much of each input token is in each token after the last block, by attention alone.

    A block gives half of a token what it reads and leaves half as it was, for its residual path.
    """
    same_TT = torch.eye(attention_BLTT.shape[-1], dtype=attention_BLTT.dtype, device=attention_BLTT.device)
    reach_BTT = same_TT.expand(len(attention_BLTT), -1, -1)
    for layer_BTT in attention_BLTT.unbind(dim=1):
        reach_BTT = (layer_BTT + same_TT) / 2 @ reach_BTT
    return reach_BTT
