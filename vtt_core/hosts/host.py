"""Say what a host is: tensors that are trained beside a frozen backbone, and the layer features that it makes with them.

VtT asks nothing else of it. DGSO compares the gradients of the host's tensors, which are its parameters and nothing more.

Shapes: B images, C classes, L layers, D joint size; deep prompts: J layers, P tokens, W tower width.
Source: METHOD.md, "Hosts".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.layers import TowerLora


class Host(nn.Module):
    """What is fine-tuned; a host overrides the methods of the towers that it changes."""

    vision_lora: TowerLora | None
    """LoRA of the vision tower, which is all or part of what is served."""
    text_lora: TowerLora | None
    """LoRA of the text tower, which ends in the class prototypes."""

    def __init__(self) -> None:
        """Start without a LoRA."""
        super().__init__()
        self.vision_lora = self.text_lora = None

    def vision_layers(self, data: TrainingData, batch: Batch) -> Tensor:
        """Return vision_BLD of the batch, with gradients to the host's tensors."""
        return data.vision_VLD[batch.views_B]

    def text_layers(self, data: TrainingData, batch: Batch | None = None) -> Tensor:
        """Return text_CLD of the class prompts, with gradients to the host's tensors.

        Args:
            data: whose classes.
            batch: what is dropped while training; None means nothing.
        """
        return data.text_CLD

    def visual_prompts(self) -> Tensor | None:
        """Return prompts_JPW that the first blocks of the vision tower read beside an image, or None."""
        return None

    def prototypes(self, data: TrainingData) -> Tensor:
        """Return prototypes_CD: the unit text feature of every class, as it will be served."""
        with torch.no_grad():
            return functional.normalize(self.text_layers(data)[:, -1], dim=-1).clone()
