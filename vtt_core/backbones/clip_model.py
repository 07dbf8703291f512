"""Tell which backbones `transformers.CLIPModel` can hold.

Source: transformers 5.24, modeling_clip.py, for what its towers have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KNOWN_VISION = frozenset(("image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio"))
_KNOWN_TEXT = frozenset(("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"))


def why_no_clip_model(config: Mapping[str, Any]) -> str | None:
    """Return why `transformers.CLIPModel` cannot hold a backbone of an open_clip configuration, or None if it can."""
    vision = config["vision_cfg"]
    if "timm_model_name" in vision:
        name = vision["timm_model_name"]
        return f"its vision tower is timm's {name}, whose q, k and v are one layer; `transformers.CLIPModel` has three"
    if config.get("custom_text"):
        return "its text tower is not CLIP's own, which `transformers.CLIPModel` needs"
    unknown = sorted((set(vision) - _KNOWN_VISION) | (set(config["text_cfg"]) - _KNOWN_TEXT))
    return f"`transformers.CLIPModel` has no place for its {', '.join(unknown)}" if unknown else None
