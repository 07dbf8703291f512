"""Run one tower with the LoRAs of many fine-tunings, each on its own images: products of all of them are one batched product.

Shapes: E fine-tunings, B images of all of them (the same number each, one after another), T tokens, L layers, P = 3 projections
    (q, k, v), W tower width, R rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vtt_core.lora.dropout import LayerDropout


class StackedLayer(NamedTuple):
    """The low-rank changes of one block."""

    A_EPRW: Tensor
    B_EPWR: Tensor
    scaling: float

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Return the packed projection of every image with the change of its own LoRA."""
        num_stacked = len(self.A_EPRW)
        changes = []
        for index in range(self.A_EPRW.shape[1]):
            kept_BTW = x_BTW if dropout is None else dropout.apply(x_BTW, index)
            rows = kept_BTW.reshape(num_stacked, -1, x_BTW.shape[-1])
            low = torch.bmm(rows, self.A_EPRW[:, index].transpose(1, 2))
            changes.append(torch.bmm(low, self.B_EPWR[:, index].transpose(1, 2)).view(kept_BTW.shape))
        return packed_BT3W + self.scaling * torch.cat(changes, dim=-1)


@dataclass(frozen=True)
class StackedLora:
    """The LoRAs of one tower, in the place of a `TowerLora`."""

    A_ELPRW: Tensor
    B_ELPWR: Tensor
    scaling: float

    def layer(self, index: int) -> StackedLayer:
        """Return the LoRAs of block `index`, 0 first."""
        return StackedLayer(self.A_ELPRW[:, index], self.B_ELPWR[:, index], self.scaling)
