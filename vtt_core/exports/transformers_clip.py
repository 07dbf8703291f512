"""Write a CLIP of open_clip's in the layout of `transformers.CLIPModel`.

Source: transformers 5.24, modeling_clip.py; open_clip 3.3.0, transformer.py. The names differ, q, k and v are packed in one
    tensor in open_clip, and its two projections are transposed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_model import why_no_clip_model
from vtt_core.contract import export_forms
from vtt_core.lora.layers import PROJECTIONS

VISION, TEXT = "vision_model", "text_model"
_BLOCK_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_VISION_NAMES = {
    "visual.class_embedding": f"{VISION}.embeddings.class_embedding",
    "visual.positional_embedding": f"{VISION}.embeddings.position_embedding.weight",
    "visual.conv1.weight": f"{VISION}.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": f"{VISION}.pre_layrnorm.weight",
    "visual.ln_pre.bias": f"{VISION}.pre_layrnorm.bias",
    "visual.ln_post.weight": f"{VISION}.post_layernorm.weight",
    "visual.ln_post.bias": f"{VISION}.post_layernorm.bias",
}
_TEXT_NAMES = {
    "token_embedding.weight": f"{TEXT}.embeddings.token_embedding.weight",
    "positional_embedding": f"{TEXT}.embeddings.position_embedding.weight",
    "ln_final.weight": f"{TEXT}.final_layer_norm.weight",
    "ln_final.bias": f"{TEXT}.final_layer_norm.bias",
}
_PROJECTIONS = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_START_ID, _END_ID = 49406, 49407
"""Ids of CLIP's tokenizer for the start and the end of a text."""


def check_clip_model(backbone: Backbone) -> None:
    """Refuse a backbone that `transformers.CLIPModel` cannot hold.

    Raises:
        UnsupportedExportError: with the reason.
    """
    gap = why_no_clip_model(backbone.config)
    if gap is not None:
        raise export_forms.why_no_clip_model(backbone.backbone_id, gap)


def write_clip_model(backbone: Backbone, folder: Path) -> None:
    """Write config.json and model.safetensors, which `CLIPModel.from_pretrained` reads.

    Raises:
        UnsupportedExportError: see `check_clip_model`.
    """
    check_clip_model(backbone)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(clip_config(backbone.config), indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in clip_tensors(backbone.clip.state_dict())}
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))


def clip_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of `transformers.CLIPModel` for one of open_clip's."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    shared = {"hidden_act": "quick_gelu" if config.get("quick_gelu") else "gelu", "layer_norm_eps": 1e-5}
    width, ratio = vision["width"], vision.get("mlp_ratio", 4.0)
    vision_config = {
        "hidden_size": width,
        "intermediate_size": int(width * ratio),
        "num_hidden_layers": vision["layers"],
        "num_attention_heads": width // vision.get("head_width", 64),
        "image_size": vision["image_size"],
        "patch_size": vision["patch_size"],
        "projection_dim": config["embed_dim"],
    }
    text_config = {
        "hidden_size": text["width"],
        "intermediate_size": int(text["width"] * text.get("mlp_ratio", 4.0)),
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "max_position_embeddings": text["context_length"],
        "vocab_size": text["vocab_size"],
        "projection_dim": config["embed_dim"],
        "bos_token_id": _START_ID,
        "eos_token_id": _END_ID,
        "pad_token_id": 0,
    }
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config["embed_dim"],
        "vision_config": vision_config | shared,
        "text_config": text_config | shared,
    }


def clip_tensors(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of open_clip's CLIP by the names of `transformers.CLIPModel`."""
    for name, tensor in state.items():
        if name in _PROJECTIONS:
            yield _PROJECTIONS[name], tensor.T
        elif "resblocks." in name:
            yield from _block_tensors(name, tensor)
        elif name != "attn_mask":
            yield {**_VISION_NAMES, **_TEXT_NAMES, "logit_scale": "logit_scale"}[name], tensor


def _block_tensors(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    tower = VISION if name.startswith("visual.") else TEXT
    number, _, rest = name.partition("resblocks.")[2].partition(".")
    block = f"{tower}.encoder.layers.{number}"
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")
        for projection, part in zip(PROJECTIONS, torch.chunk(tensor, len(PROJECTIONS)), strict=True):
            yield f"{block}.self_attn.{projection}.{kind}", part
        return
    module, _, kind = rest.rpartition(".")
    yield f"{block}.{_BLOCK_NAMES[module]}.{kind}", tensor
