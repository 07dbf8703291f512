"""CLIP-LoRA: low-rank layers on q, k and v of the vision tower, the text tower, or both.

Shapes: B images, C classes, L layers, T prompt positions, D joint size.
Source: Zanella & Ben Ayed 2024, arXiv:2405.18541; METHOD.md, row "LoRA".
"""

from __future__ import annotations

from torch import Tensor

from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.layers import TowerLora


class ClipLora(Host):
    """A LoRA on one tower or on both."""

    tokens_CT: Tensor

    def __init__(
        self, vision_lora: TowerLora | None = None, text_lora: TowerLora | None = None, tokens_CT: Tensor | None = None
    ) -> None:
        """Take the LoRAs.

        Args:
            vision_lora: of the vision tower.
            text_lora: of the text tower.
            tokens_CT: class prompts, which the text tower reads anew in each step; needed with a LoRA of its own.
        """
        super().__init__()
        assert (text_lora is None) == (tokens_CT is None)
        self.vision_lora, self.text_lora = vision_lora, text_lora
        self.register_buffer("tokens_CT", tokens_CT, persistent=False)

    def vision_layers(self, data: TrainingData, batch: Batch) -> Tensor:
        """Return vision_BLD of the batch."""
        if self.vision_lora is None:
            return super().vision_layers(data, batch)
        images_B3HW = data.views_V3HW[batch.views_B]
        return data.backbone.vision_tower.layer_features(images_B3HW, self.vision_lora, batch.dropout)

    def text_layers(self, data: TrainingData, batch: Batch | None = None) -> Tensor:
        """Return text_CLD of the class prompts."""
        if self.text_lora is None:
            return super().text_layers(data, batch)
        dropout = batch.text_dropout if batch is not None else None
        return data.backbone.text_tower.layer_features(self.tokens_CT, self.text_lora, dropout)
