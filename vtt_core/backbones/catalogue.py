"""Generate the list of supported open_clip backbones.

Run `python -m vtt_core.backbones.catalogue` after updating open_clip.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import vtt_core.contract
from vtt_core.backbones.clip_model import why_no_clip_model
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.backbones import MINI, BackboneEntry, split_backbone_id

MINI_CONFIG = Path(__file__).parent / "mini" / "model.json"
CATALOGUE_FILE = Path(vtt_core.contract.__file__).parent / "open_clip_backbones.json"
TEXT_OPTIONS = frozenset(
    ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "ls_init_value", "norm_kwargs", "act_kwargs")
    + ("no_causal_mask", "pool_type", "eos_id", "pad_id", "proj_type", "proj_bias", "hf_tokenizer_name", "tokenizer_kwargs")
)
"""Supported options of a text tower. Others change its blocks or add tokens."""
TEXT_POOLS = ("argmax", "last", "eos")


def is_supported(config: dict[str, Any]) -> bool:
    """Tell whether the towers of an open_clip configuration are supported."""
    return why_unsupported(config) is None


def why_unsupported(config: dict[str, Any]) -> str | None:
    """Return why an open_clip configuration is unsupported, or None if it is supported.

    The vision tower must be CLIP's own ViT with a class token, or a timm model of `timm_trunks.py`. The text
    tower must be open_clip's own, and as wide as the joint size: the fused vector replaces a token embedding.
    """
    if config.get("multimodal_cfg"):
        return "it also writes captions"
    reason = _why_clip_vision_unsupported(config["vision_cfg"]) or _why_text_unsupported(config)
    if reason is None and "timm_model_name" in config["vision_cfg"]:
        from vtt_core.backbones import timm_trunks  # noqa: PLC0415  (timm takes a second to import)

        reason = timm_trunks.why_unsupported(timm_trunks.timm_trunk(config["vision_cfg"]["timm_model_name"]))
    return reason


def _why_clip_vision_unsupported(vision: dict[str, Any]) -> str | None:
    if "timm_model_name" in vision:
        return None
    if not isinstance(vision.get("layers"), int):
        return "its vision tower is a ResNet"
    unknown = sorted({"attentional_pool", "block_type", "pos_embed_type"} & set(vision))
    if unknown or vision.get("pool_type", "tok") != "tok":
        return f"its vision tower has {', '.join(unknown) or 'the pooling ' + repr(vision['pool_type'])}"
    return None


def _why_text_unsupported(config: dict[str, Any]) -> str | None:
    text = config["text_cfg"]
    if "hf_model_name" in text:
        return "its text tower is not open_clip's own"
    unknown = sorted(set(text) - TEXT_OPTIONS)
    if unknown or text.get("pool_type", "argmax") not in TEXT_POOLS:
        return f"its text tower has {', '.join(unknown) or 'the pooling ' + repr(text['pool_type'])}"
    if config["embed_dim"] != text["width"]:
        return f"its text width {text['width']} is not the joint size {config['embed_dim']}"
    return None


def build_catalogue() -> list[BackboneEntry]:
    """Return the bundled backbone and every supported (name, tag) of the installed open_clip."""
    entries = [_entry(MINI, json.loads(MINI_CONFIG.read_text(encoding="utf-8")), is_bundled=True)]
    for name, tag in open_clip.list_pretrained():
        config = open_clip.get_model_config(name)
        if config is not None and is_supported(config):
            entries.append(_entry(f"{name}/{tag}", config, is_bundled=False))
    return entries


def _entry(backbone_id: str, config: dict[str, Any], *, is_bundled: bool) -> BackboneEntry:
    vision, text = config["vision_cfg"], config["text_cfg"]
    num_layers, kind = vision.get("layers"), f"ViT, width {vision.get('width')}, patch {vision.get('patch_size')}"
    if "timm_model_name" in vision:
        from vtt_core.backbones.timm_trunks import timm_trunk  # noqa: PLC0415  (as above)

        trunk = timm_trunk(vision["timm_model_name"])
        num_layers, kind = len(trunk.blocks), f"timm's {vision['timm_model_name']}, width {trunk.embed_dim}"
    if text.get("no_causal_mask"):
        kind += "; text read both ways"
    if "hf_tokenizer_name" in text:
        kind += "; tokenizer of a hub, needs the extra siglip"
    return BackboneEntry(
        backbone_id=backbone_id,
        image_side_pixels=vision["image_size"],
        joint_size=config["embed_dim"],
        num_vision_layers=num_layers,
        num_text_layers=text["layers"],
        is_bundled=is_bundled,
        description=f"{kind}; bundled with this package" if is_bundled else f"{kind}; weights of open_clip",
        hub_path="" if is_bundled else open_clip.get_pretrained_cfg(*split_backbone_id(backbone_id))["hf_hub"],
        num_text_positions=text["context_length"],
        has_hub_tokenizer="hf_tokenizer_name" in text,
        cleaning=_cleaning(text),
        num_vision_weights=_num_vision_weights(json.dumps(config)),
        clip_model_gap=why_no_clip_model(config) or "",
    )


@lru_cache(maxsize=128)
def _num_vision_weights(config_json: str) -> int:
    """Count the numbers of a vision tower that is built without memory for them; several tags share a configuration."""
    config = json.loads(config_json)
    model_class = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    with torch.device("meta"):
        clip = model_class(config["embed_dim"], config["vision_cfg"], config["text_cfg"], config.get("quick_gelu", False))
    return sum(weight.numel() for weight in clip.visual.parameters())


def _cleaning(text: dict[str, Any]) -> str:
    """Return how the tokenizer cleans a prompt. open_clip's two tokenizers have different defaults."""
    default = "whitespace" if "hf_tokenizer_name" in text else "lower"
    return str(text.get("tokenizer_kwargs", {}).get("clean", default))


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in build_catalogue())
    CATALOGUE_FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
