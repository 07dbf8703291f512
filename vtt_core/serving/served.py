"""Hold an adapter as serving needs it: two stacked LoRA tensors, the prototypes, the labels.

Shapes: C classes, D joint size, L layers, P = 3 projections (q, k, v), W tower width, R rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vtt_core.adapter.files import Adapter

Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter in memory, its LoRA on the device of its backbone."""

    labels: tuple[str, ...]
    A_LPRW: Tensor
    B_LPWR: Tensor
    """Already scaled."""
    prototypes_CD: Tensor
    """Unit text feature of every class, made at publish time: the text tower does not run in a prediction.
    On the CPU, where the few numbers that an image gives are compared with them."""
    logit_scale: float
    prompts_JPW: Tensor | None = None
    """Tokens that the vision tower's first blocks read beside an image, where the adapter has them."""

    @property
    def rank(self) -> int:
        """Rows of each A."""
        return self.A_LPRW.shape[2]

    @property
    def size_bytes(self) -> int:
        """Memory of its tensors."""
        tensors = [self.A_LPRW, self.B_LPWR, self.prototypes_CD]
        return sum(tensor.nbytes for tensor in [*tensors, *([] if self.prompts_JPW is None else [self.prompts_JPW])])


def make_served(adapter: Adapter, device: torch.device, precision: Precision) -> ServedAdapter:
    """Return an adapter ready to serve.

    Args:
        adapter: read from its files.
        device: of the backbone.
        precision: of the LoRA in memory; float16 halves the memory, and rounds the LoRA to 11 bits.
    """
    dtype = getattr(torch, precision)
    with torch.no_grad():
        return ServedAdapter(
            labels=tuple(adapter.manifest.labels),
            A_LPRW=adapter.lora.lora_A.to(device, dtype),
            B_LPWR=(adapter.lora.lora_B * adapter.lora.scaling).to(device, dtype),
            prototypes_CD=adapter.prototypes_CD,
            logit_scale=adapter.logit_scale,
            prompts_JPW=None if adapter.prompts_JPW is None else adapter.prompts_JPW.to(device, dtype),
        )
