"""Build the CLIP of model.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from vtt_core.backbones.open_clip_import import open_clip

MODEL_FILE = Path(__file__).parent / "model.json"


def build_mini() -> Any:
    """Return the open_clip CLIP of model.json with fresh weights from torch's global generator."""
    model: Any = open_clip.CLIP(**json.loads(MODEL_FILE.read_text(encoding="utf-8")))
    blocks = model.visual.transformer
    width, depth = blocks.width, blocks.layers
    for block in blocks.resblocks:  # open_clip does this for text blocks only
        nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(block.attn.out_proj.weight, std=width**-0.5 * (2 * depth) ** -0.5)
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=width**-0.5 * (2 * depth) ** -0.5)
    return model
