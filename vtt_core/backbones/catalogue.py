"""Generate the list of open_clip backbones that the towers of this package support.

Run `python -m vtt_core.backbones.catalogue` after an update of open_clip.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vtt_core.contract
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.backbones import MINI, BackboneEntry

MINI_CONFIG = Path(__file__).parent / "mini" / "model.json"
CATALOGUE_FILE = Path(vtt_core.contract.__file__).parent / "open_clip_backbones.json"


def is_supported(config: dict[str, Any]) -> bool:
    """Tell whether an open_clip model configuration is a CLIP with a plain ViT and a causal text tower.

    Joint size and text width must agree: the fused vector takes the place of a token embedding.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    is_plain_vision = (
        isinstance(vision.get("layers"), int)
        and vision.get("pool_type", "tok") == "tok"
        and not {"timm_model_name", "attentional_pool", "block_type", "pos_embed_type"} & set(vision)
    )
    is_plain_text = not {"hf_model_name", "no_causal_mask", "embed_cls", "hf_tokenizer_name", "pool_type", "block_type"} & set(
        text
    )
    is_plain_clip = not config.get("custom_text") and not config.get("multimodal_cfg")
    return is_plain_vision and is_plain_text and is_plain_clip and config["embed_dim"] == text["width"]


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
    patch = f"ViT, width {vision['width']}, patch {vision['patch_size']}"
    return BackboneEntry(
        backbone_id=backbone_id,
        image_side_pixels=vision["image_size"],
        joint_size=config["embed_dim"],
        num_vision_layers=vision["layers"],
        num_text_layers=text["layers"],
        is_bundled=is_bundled,
        description=f"{patch}; bundled with this package" if is_bundled else f"{patch}; weights of open_clip",
    )


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in build_catalogue())
    CATALOGUE_FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
