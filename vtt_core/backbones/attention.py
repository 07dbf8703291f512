"""Where a vision tower looks: the class token's attention to an image's patches, frozen or with a LoRA.

For a tower that pools its tokens by attention (SigLIP2, PE-Core), it is the attention of the pooling.

Shapes: B images, L layers, T tokens, G patches of a side; deep prompts: J blocks, P tokens, W vision width.
Source: Zhang et al. 2026, arXiv:2603.05235, "attention maps"; rollout: Abnar & Zuidema 2020, arXiv:2005.00928.
Differs: the paper does not say which layer and heads its maps show. Here it is the last block and the mean of its heads.
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


@runtime_checkable
class AttentiveTower(Protocol):
    """A vision tower whose feature is its class token, the first token."""

    def layer_attention(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return attention_BLTT of every block, averaged over its heads."""


@runtime_checkable
class PoolingTower(Protocol):
    """A vision tower that may pool its tokens by attention."""

    def pool_attention(
        self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor | None:
        """Return the pooling's attention to each token of an image, or None."""


def class_attention(
    backbone: Backbone,
    images: Sequence[Image.Image],
    lora: AnyLora | None = None,
    prompts_JPW: Tensor | None = None,
    *,
    layer: int | None = None,
    is_rollout: bool = False,
) -> Tensor:
    """Return maps_BGG of images of any size, which are preprocessed here; see `attention_maps`.

    Args:
        backbone: frozen.
        images: RGB.
        lora: low-rank layers of the vision tower, or None for the frozen tower.
        prompts_JPW: extra tokens for its first blocks, or None.
        layer: block to show, from 1; None for the last.
        is_rollout: follow the attention through all blocks up to this one, instead of this one alone.

    Raises:
        InputError: the tower has no such layer.
        UnsupportedBackboneError: the tower has neither a class token nor attention pooling, or it pools and a layer was chosen.
    """
    pixels_B3HW = preprocess(images, backbone.preprocessing).to(backbone.device, backbone.dtype)
    return attention_maps(backbone, pixels_B3HW, lora, prompts_JPW, layer=layer, is_rollout=is_rollout)


def attention_maps(
    backbone: Backbone,
    pixels_B3HW: Tensor,
    lora: AnyLora | None = None,
    prompts_JPW: Tensor | None = None,
    *,
    layer: int | None = None,
    is_rollout: bool = False,
) -> Tensor:
    """Return maps_BGG: the class token's attention to each patch. With itself and the prompts, it sums to 1.

    The arguments and errors are those of `class_attention`, but for images that are preprocessed already.
    """
    tower = backbone.vision_tower
    number = tower.num_layers if layer is None else layer
    if not 1 <= number <= tower.num_layers:
        raise InputError(expected=f"a layer from 1 to {tower.num_layers}", got=str(layer), remedy="Choose one of these")
    with torch.inference_mode():
        if isinstance(tower, AttentiveTower):
            attention_BLTT = tower.layer_attention(pixels_B3HW, lora, prompts_JPW)[:, :number]
            shares_BT = (rollout(attention_BLTT) if is_rollout else attention_BLTT[:, -1])[:, 0]
        else:
            shares_BT = _pool_shares(backbone, pixels_B3HW, lora, prompts_JPW, is_chosen=layer is not None or is_rollout)
    side = isqrt(tower.num_tokens)  # with or without a class token
    maps_BGG: Tensor = shares_BT[:, tower.num_tokens - side * side : tower.num_tokens].unflatten(1, (side, side))
    return maps_BGG


def has_rollout(backbone: Backbone) -> bool:
    """Return whether attention can be followed through the blocks of this backbone's vision tower."""
    return isinstance(backbone.vision_tower, AttentiveTower)


def _pool_shares(
    backbone: Backbone, pixels_B3HW: Tensor, lora: AnyLora | None, prompts_JPW: Tensor | None, *, is_chosen: bool
) -> Tensor:
    """Return shares_BT of a tower that pools by attention, if no layer was chosen."""
    tower = backbone.vision_tower
    if is_chosen:
        raise UnsupportedBackboneError(
            expected="a vision tower whose feature is its class token, for choosing a layer or a rollout",
            got=f"{backbone.backbone_id!r}, whose tokens are pooled after the last layer",
            remedy="Leave out the layer and the rollout, to see the attention of the pooling",
        )
    shares_BT = tower.pool_attention(pixels_B3HW, lora, prompts_JPW) if isinstance(tower, PoolingTower) else None
    if shares_BT is None:
        raise UnsupportedBackboneError(
            expected="a vision tower with CLIP's class token or with attention pooling",
            got=f"{backbone.backbone_id!r}, which has neither",
            remedy="Choose a CLIP, SigLIP or PE-Core that `vtt backbones` lists",
        )
    return shares_BT


def rollout(attention_BLTT: Tensor) -> Tensor:
    """Return reach_BTT: the share of each input token in each output token, by attention alone.

    Each block counts as half attention and half residual path.
    """
    same_TT = torch.eye(attention_BLTT.shape[-1], dtype=attention_BLTT.dtype, device=attention_BLTT.device)
    reach_BTT = same_TT.expand(len(attention_BLTT), -1, -1)
    for layer_BTT in attention_BLTT.unbind(dim=1):
        reach_BTT = (layer_BTT + same_TT) / 2 @ reach_BTT
    return reach_BTT
