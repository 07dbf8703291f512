"""Say where the vision tower looked in an image: without an adapter, and with it.

Shapes: G patches of a side, H = W side in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtt_core.backbones.attention import attention_maps, has_rollout
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.serving import AttentionGrids, Grid
from vtt_core.serving.mixed_lora import MixedLora
from vtt_core.serving.served import ServedAdapter


def where_it_looked(backbone: Backbone, adapter: ServedAdapter, pixels_3HW: Tensor) -> AttentionGrids:
    """Return the attention to each part of an image, through all blocks where the tower has a class token.

    Args:
        backbone: frozen.
        adapter: of the model.
        pixels_3HW: the image, preprocessed, on the device of the backbone.

    Raises:
        UnsupportedBackboneError: the tower neither has a class token nor pools by attention.
    """
    pixels_B3HW, is_rollout = pixels_3HW[None], has_rollout(backbone)
    with torch.inference_mode():
        before_GG = attention_maps(backbone, pixels_B3HW, is_rollout=is_rollout)[0]
        lora = MixedLora([adapter], backbone.dtype) if adapter.rank else None
        prompts_JPW = None if adapter.prompts_JPW is None else adapter.prompts_JPW.to(backbone.dtype)
        is_tuned = lora is not None or prompts_JPW is not None
        after_GG = attention_maps(backbone, pixels_B3HW, lora, prompts_JPW, is_rollout=is_rollout)[0] if is_tuned else before_GG
        return AttentionGrids(_shares(before_GG), _shares(after_GG), is_tuned, is_rollout)


def _shares(map_GG: Tensor) -> Grid:
    """Return what each patch has of the attention on patches; what the class token keeps for itself is left out."""
    shares_GG = map_GG.double() / map_GG.double().sum()
    return tuple(tuple(row) for row in shares_GG.cpu().tolist())
