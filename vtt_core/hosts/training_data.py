"""Hold what stays the same during a fine-tuning, and what one step learns from.

Shapes: B images, C classes, L layers, D joint size, V views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import AbsorptionPrompt
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.lora.dropout import Dropout

CHUNK_VIEWS = 64
"""Views that the frozen tower encodes at once."""


@dataclass(frozen=True)
class TrainingData:
    """What stays the same during a fine-tuning."""

    backbone: Backbone
    views_V3HW: Tensor
    """Every view of every support image."""
    labels_V: Tensor
    """Class index of every view."""
    text_CLD: Tensor
    """Layer features of the class prompts, from the frozen text tower."""
    prompt: AbsorptionPrompt
    """Where a fused vector is absorbed."""

    @property
    def prototypes_CD(self) -> Tensor:
        """Unit text feature of every class, from the frozen text tower."""
        return functional.normalize(self.text_CLD[:, -1], dim=-1)

    @cached_property
    def vision_VLD(self) -> Tensor:
        """Layer features of every view from the frozen vision tower; computed once, for hosts that leave it as it is."""
        with torch.no_grad():
            chunks = [self.backbone.vision_tower.layer_features(views) for views in self.views_V3HW.split(CHUNK_VIEWS)]
        return torch.cat(chunks)

    def sha256(self) -> str:
        """Hash of what is learnt from: views, labels and text features."""
        return hash_weights({"views": self.views_V3HW, "labels": self.labels_V, "text": self.text_CLD})


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    views_B: Tensor
    """Indices of the views."""
    dropout: Dropout | None
    """Of the inputs of the vision tower's LoRA; None means that all are kept."""
    is_absorbing: bool
    """Whether the absorption loss is wanted."""
    text_dropout: Dropout | None = None
    """Of the inputs of the text tower's LoRA."""

    def rows(self, rows: slice) -> Batch:
        """Return a part of the batch."""
        dropout = None if self.dropout is None else self.dropout.rows(rows)
        return Batch(self.views_B[rows], dropout, self.is_absorbing, self.text_dropout)
