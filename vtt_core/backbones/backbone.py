"""A frozen CLIP: its towers, tokenizer, preprocessing and the hash of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.timm_vision_tower import TimmVisionTower
from vtt_core.backbones.tokenizer import Tokenize, find_first_word
from vtt_core.backbones.towers import TextTower, VisionTower
from vtt_core.contract.manifest import Preprocessing

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Backbone:
    """A frozen pretrained CLIP. No user of it changes it."""

    def __init__(
        self,
        backbone_id: str,
        clip: Any,
        tokenize: Tokenize,
        preprocessing: Preprocessing,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Freeze the model and wrap its towers.

        Args:
            backbone_id: id under which it was requested.
            clip: open_clip's `CLIP` or `CustomTextCLIP`, with its weights loaded.
            tokenize: returns token ids (C, T) of C texts.
            preprocessing: of its images.
            config: open_clip's configuration of the model; only exports read it.
        """
        self.backbone_id = backbone_id
        self.clip = clip.eval().requires_grad_(False)
        self.tokenize = tokenize
        self.preprocessing = preprocessing
        self.config = dict(config or {})
        self.vision_tower: VisionTower = (
            TimmVisionTower(clip.visual) if hasattr(clip.visual, "trunk") else ClipVisionTower(clip.visual)
        )
        self.text_tower = TextTower(clip, partial(find_first_word, tokenize))

    @property
    def joint_size(self) -> int:
        """Size D of the embedding that images and texts share."""
        return self.vision_tower.joint_size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self.clip.logit_scale.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        dtype: torch.dtype = self.clip.logit_scale.dtype
        return dtype

    @cached_property
    def weight_sha256(self) -> str:
        """Hash of all weights by name. Files with the same weights have the same hash."""
        return hash_weights(self.clip.state_dict())


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
