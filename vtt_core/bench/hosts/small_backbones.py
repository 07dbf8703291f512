"""Make a small backbone of every kind that is supported, with random weights: open_clip's and timm's real classes.

`vit_small_siglip_of_vtt` has no class token and pools by attention, as SigLIP2's tower; `vit_small_pe_core_of_vtt` has a class
token, rotary positions and a norm before its blocks, as PE-Core's. The first one's text tower reads both ways and ends at the
last position; the other one's is causal, and deeper than its vision tower.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import backbone_from_files
from vtt_core.backbones.timm_import import timm

KINDS = ("clip", "siglip2", "pe-core")
SMALL_BACKBONES = {f"small-{kind}": kind for kind in KINDS}
"""Kind by backbone id."""


def vit_small_siglip_of_vtt(pretrained: bool = False, **changes: Any) -> Any:
    """Return the vision tower of the kind SigLIP2; open_clip asks timm for it by this name."""
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2, "class_token": False}
    options = sizes | {"global_pool": "map", "act_layer": "gelu_tanh"} | changes
    create = timm.models.vision_transformer._create_vision_transformer
    return create("vit_small_siglip_of_vtt", pretrained=pretrained, **options)


def vit_small_pe_core_of_vtt(pretrained: bool = False, **changes: Any) -> Any:
    """Return the vision tower of the kind PE-Core."""
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 4.0}
    pooling = {"global_pool": "map", "attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 4.0}
    rotation = {"use_rot_pos_emb": True, "ref_feat_shape": (4, 4), "rope_grid_offset": 1.0, "rope_grid_indexing": "xy"}
    rest = {"attn_type": "rope", "use_pre_transformer_norm": True, "norm_layer": partial(timm.layers.norm.LayerNorm, eps=1e-5)}
    # timm starts the head a thousand times smaller, for images to be told apart later.
    options = sizes | pooling | rotation | rest | {"head_init_scale": 1.0} | changes
    return timm.models.eva._create_eva("vit_small_pe_core_of_vtt", pretrained=pretrained, **options)


for _builder in (vit_small_siglip_of_vtt, vit_small_pe_core_of_vtt):
    if not timm.is_model(_builder.__name__):
        timm.models.register_model(_builder)


def config_file(kind: str) -> Path:
    """Return the open_clip configuration of a kind."""
    return Path(__file__).with_name(f"small_{kind.replace('-', '_')}.json")


def small_backbone(kind: str, seed: int = 0, *, device: str = "cpu") -> Backbone:
    """Return the frozen backbone of a kind.

    Args:
        kind: one of KINDS.
        seed: of its weights.
        device: torch device.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return backbone_from_files(f"small-{kind}", config_file(kind), None, device=device)
