"""Build the CLIP of model.json, and encode its short captions cheaply.

Shapes: C captions, T tokens, D joint size, W text width, V token ids in use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vtt_core.backbones.open_clip_import import open_clip

MODEL_FILE = Path(__file__).parent / "model.json"


def build_mini() -> Any:
    """Return the open_clip CLIP of model.json with fresh weights from torch's global generator."""
    model: Any = open_clip.CLIP(**json.loads(MODEL_FILE.read_text(encoding="utf-8")))
    blocks = model.visual.transformer
    width, depth = blocks.width, blocks.layers
    for block in blocks.resblocks:  # open_clip gives its text blocks this scheme and leaves vision to torch's defaults
        nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(block.attn.out_proj.weight, std=width**-0.5 * (2 * depth) ** -0.5)
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=width**-0.5 * (2 * depth) ** -0.5)
    return model


def encode_short_text(model: Any, tokens_CT: Tensor, token_ids_V: Tensor) -> Tensor:
    """Return text_CD of captions shorter than the context, with an embedding table of the tokens in use.

    Equals open_clip's encode_text on the padded captions: padding stands after the end-of-text token,
    where the causal mask hides it.
    """
    end_C = tokens_CT.argmax(dim=-1)
    length = tokens_CT.shape[1]
    hidden_CTW = (
        model.token_embedding(torch.searchsorted(token_ids_V, tokens_CT.contiguous())) + model.positional_embedding[:length]
    )
    hidden_CTW = model.ln_final(model.transformer(hidden_CTW, attn_mask=model.attn_mask[:length, :length]))
    text_CD: Tensor = hidden_CTW[torch.arange(len(end_C), device=end_C.device), end_C] @ model.text_projection
    return text_CD
