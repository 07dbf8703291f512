"""Read a folder of recorded values: weights, tokenizer and tensors, in float64.

The clip weights are an OpenAI-format CLIP (QuickGELU) whose vision heads are 64 wide and whose text heads
are 32 wide; the fusion weights bear the names of the released code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from vtt_core.backbones.backbone import CLIP_MEAN, CLIP_STD, Backbone
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.manifest import Preprocessing
from vtt_core.fusion.network import FusionNetwork

WEIGHTS_FILE, VALUES_FILE, SCALARS_FILE = FILE_NAMES = (
    "reference_weights.safetensors",
    "reference_values.safetensors",
    "reference_values.json",
)
VISION_HEAD_WIDTH, TEXT_HEAD_WIDTH = 64, 32

FUSION_NAMES = {
    "residual_proj.proj.weight": "residual_proj.weight",
    "mlp_proj.0.weight": "stem_in.weight",
    "mlp_proj.0.bias": "stem_in.bias",
    "mlp_proj.1.weight": "stem_norm.weight",
    "mlp_proj.1.bias": "stem_norm.bias",
    "mlp_proj.3.weight": "stem_out.weight",
    "pos_embed": "pos_embed",
}
"""Recorded name -> ours; `block.*` keeps its name."""


@dataclass(frozen=True)
class Recording:
    """One folder of recorded values."""

    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]

    @property
    def trajectories(self) -> list[str]:
        """Names of the recorded fine-tunings."""
        return [name for name, value in self.scalars.items() if isinstance(value, dict) and "iterations" in value]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under a prefix, which is cut off their names."""
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def read_recording(folder: Path) -> Recording:
    """Read the three files of a folder, floats as float64."""

    def as_float64(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}

    return Recording(
        weights=as_float64(load_file(folder / WEIGHTS_FILE)),
        tensors=as_float64(load_file(folder / VALUES_FILE)),
        scalars=json.loads((folder / SCALARS_FILE).read_text(encoding="utf-8")),
    )


def recorded_backbone(recording: Recording) -> Backbone:
    """Return the recorded CLIP with the recorded word list as its tokenizer."""
    clip_weights = {name[5:]: tensor for name, tensor in recording.weights.items() if name.startswith("clip.")}
    conv, positions = clip_weights["visual.conv1.weight"], clip_weights["visual.positional_embedding"]
    side = conv.shape[-1] * round((positions.shape[0] - 1) ** 0.5)
    vocabulary, text_width = clip_weights["token_embedding.weight"].shape
    context_length = clip_weights["positional_embedding"].shape[0]
    clip = open_clip.CLIP(
        clip_weights["text_projection"].shape[1],
        {
            "image_size": side,
            "patch_size": conv.shape[-1],
            "width": conv.shape[0],
            "layers": _depth(clip_weights, "visual.transformer"),
            "head_width": VISION_HEAD_WIDTH,
        },
        {
            "context_length": context_length,
            "vocab_size": vocabulary,
            "width": text_width,
            "heads": text_width // TEXT_HEAD_WIDTH,
            "layers": _depth(clip_weights, "transformer"),
        },
        quick_gelu=True,
    ).double()
    clip.load_state_dict(clip_weights, strict=True)
    preprocessing = Preprocessing(side, "squash", "bilinear", CLIP_MEAN, CLIP_STD)
    return Backbone("recorded", clip, WordTokenizer(recording.scalars["tokenizer"], context_length), preprocessing)


class WordTokenizer:
    """Tokenise by a word list; a full stop is a word of its own."""

    def __init__(self, recorded: dict[str, Any], context_length: int) -> None:
        self._words: dict[str, int] = recorded["words"]
        self._start, self._end = recorded["start"], recorded["end"]
        self._context_length = context_length

    def __call__(self, texts: Sequence[str]) -> Tensor:
        tokens_CT = torch.zeros(len(texts), self._context_length, dtype=torch.long)
        for row, text in enumerate(texts):
            words = text.lower().replace(".", " . ").split()
            ids = [self._start, *(self._words[word] for word in words), self._end]
            tokens_CT[row, : len(ids)] = torch.tensor(ids)
        return tokens_CT


def recorded_fusion(recording: Recording) -> FusionNetwork:
    """Return the recorded fusion network; every size follows from the shapes of its weights."""
    weights = {name[7:]: tensor for name, tensor in recording.weights.items() if name.startswith("fusion.")}
    _, num_steps, width = weights["pos_embed"].shape
    network = FusionNetwork(
        num_steps,
        width,
        state_size=weights["block.A_log"].shape[1],
        step_rank=weights["block.dt_proj.weight"].shape[1],
        convolution_width=weights["block.conv1d.weight"].shape[-1],
    ).double()
    network.load_state_dict(dict(fusion_tensor(name, tensor) for name, tensor in weights.items()), strict=True)
    return network


def fusion_tensor(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """Return our name and layout of a recorded fusion tensor."""
    if name.startswith("block."):
        return name, tensor
    ours = FUSION_NAMES[name]
    if ours.startswith("stem_norm"):
        return ours, tensor.flatten(1).t().contiguous()
    return ours, tensor.reshape(
        tensor.shape[1:] if ours == "pos_embed" else tensor.shape[:2] if tensor.ndim > 2 else tensor.shape
    )


def _depth(weights: dict[str, Tensor], prefix: str) -> int:
    return sum(name.startswith(f"{prefix}.resblocks.") and name.endswith("ln_1.weight") for name in weights)
