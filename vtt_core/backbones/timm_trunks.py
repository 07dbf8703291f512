"""Tell which timm models `timm_vision_tower.py` can run.

Source: METHOD.md, "Backbones"; timm 1.0.31, vision_transformer.py and eva.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import nn

from vtt_core.backbones.timm_import import timm

TRUNKS = (timm.models.vision_transformer.VisionTransformer, timm.models.eva.Eva)
"""Models with the expected forward pass: embedding, blocks in sequence, norm, head."""
ATTENTIONS = (timm.layers.attention.Attention, timm.layers.attention.AttentionRope, timm.models.eva.EvaAttention)


@lru_cache(maxsize=64)
def timm_trunk(name: str) -> Any:
    """Return timm's model of this name without weights: only its blocks and their shapes matter."""
    with torch.device("meta"):
        return timm.create_model(name, num_classes=0)


def why_unsupported(trunk: Any) -> str | None:
    """Return why a timm model is unsupported, or None if it is supported.

    Args:
        trunk: the model; its weights do not matter.
    """
    if type(trunk) not in TRUNKS:
        return f"its vision tower is timm's {type(trunk).__name__}, neither a VisionTransformer nor an Eva"
    if getattr(trunk, "rope_mixed", False):
        return "its vision tower has different rotary positions in each block"
    width = trunk.embed_dim
    for block in trunk.blocks:
        attention = getattr(block, "attn", None)
        if not isinstance(attention, ATTENTIONS):
            return f"its vision tower's attention is timm's {type(attention).__name__}"
        if not isinstance(attention.qkv, nn.Linear):
            return "its vision tower's q, k and v are separate layers"
        if getattr(attention, "q_bias", None) is not None and not attention.qkv_bias_separate:
            return "its vision tower multiplies by the weights of q, k and v without calling their layer"
        if attention.qkv.weight.shape != (3 * width, width):
            return f"its vision tower's q, k and v are not of its width {width}"
    return None
