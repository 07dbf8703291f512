"""Add low-rank layers to q, k and v of a tower's attention, without touching the tower.

The tower receives the LoRA as an argument, so one frozen tower serves any number of them. A tower's LoRA lies in two
tensors, so that an update, a comparison of gradients or a change of type is one operation and not six for each layer.

Shapes: B images, T tokens, L layers, P = 3 projections (q, k, v), W tower width, R rank.
Source: METHOD.md, row "LoRA"; Zanella & Ben Ayed 2024, arXiv:2405.18541 (CLIP-LoRA); the scaling
    alpha / sqrt(rank) is Kalajdzievski 2023, arXiv:2312.03732.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vtt_core.lora.dropout import LayerDropout

PROJECTIONS = ("q_proj", "k_proj", "v_proj")


class LayerLora(NamedTuple):
    """The low-rank changes of one attention block's q, k and v: scaling * B A x."""

    A_PRW: Tensor
    B_PWR: Tensor
    scaling: float

    def change(self, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Return the change of the packed (B, T, 3W) projection.

        Args:
            x_BTW: input of the projections.
            dropout: which inputs each of them keeps; None means all.
        """
        changes = []
        for index in range(len(PROJECTIONS)):
            kept_BTW = x_BTW if dropout is None else dropout.apply(x_BTW, index)
            changes.append(kept_BTW @ self.A_PRW[index].t() @ self.B_PWR[index].t() * self.scaling)
        return torch.cat(changes, dim=-1)

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Return the packed projection with its change; the other arguments are those of `change`."""
        return packed_BT3W + self.change(x_BTW, dropout)

    def delta(self) -> Tensor:
        """Return the (3W, W) matrix that merging adds to the packed frozen weight."""
        return (self.B_PWR @ self.A_PRW * self.scaling).flatten(0, 1)


class TowerLora(nn.Module):
    """The low-rank layers of every block of one tower; all of a LoRA's parameters and nothing else.

    A starts Kaiming-uniform, B at zero, so that a new LoRA changes nothing.
    """

    def __init__(self, num_layers: int, width: int, rank: int, scaling: float, dropout: float = 0.0) -> None:
        """Draw A from torch's global generator, layer by layer, q before k before v.

        Args:
            num_layers: blocks of the tower.
            width: size of the projections' input and output.
            rank: rows of A, columns of B; 0 for a LoRA that changes nothing.
            scaling: factor on the product.
            dropout: probability of zeroing an input while training.
        """
        super().__init__()
        self.scaling = scaling
        self.dropout = dropout
        self.lora_A = nn.Parameter(torch.empty(num_layers, len(PROJECTIONS), rank, width))
        self.lora_B = nn.Parameter(torch.zeros(num_layers, len(PROJECTIONS), width, rank))
        if rank == 0:  # nothing is trained in this tower
            return
        with torch.no_grad():
            for A_RW in self.lora_A.flatten(0, 1):
                nn.init.kaiming_uniform_(A_RW, a=math.sqrt(5))

    def layer(self, index: int) -> LayerLora:
        """Return the LoRA of block `index`, 0 first."""
        return LayerLora(self.lora_A[index], self.lora_B[index], self.scaling)

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.lora_A.shape[0]

    @property
    def rank(self) -> int:
        """Rows of each A."""
        return self.lora_A.shape[2]

    @property
    def width(self) -> int:
        """Size W of the projections."""
        return self.lora_A.shape[3]

    def matrices(self) -> dict[str, Tensor]:
        """Return every matrix by its name in files, such as `layers.0.q_proj.lora_A`."""
        return matrices_by_name(self.lora_A.detach(), self.lora_B.detach())

    def load_matrices(self, matrices: Mapping[str, Tensor]) -> None:
        """Take over the matrices of a file.

        Raises:
            ValueError: one is missing, of another shape, or of no block.
        """
        own = self.matrices()
        if own.keys() != matrices.keys():
            raise ValueError(f"expected the matrices {sorted(own)[:2]}..., {len(own)} in all, got {sorted(matrices)[:200]}")
        for name, matrix in own.items():
            if matrices[name].shape != matrix.shape:
                raise ValueError(f"expected {name} of shape {tuple(matrix.shape)}, got {tuple(matrices[name].shape)}")
            matrix.copy_(matrices[name])


def matrices_by_name(A_LPRW: Tensor, B_LPWR: Tensor) -> dict[str, Tensor]:
    """Return views of two stacked tensors (weights, gradients or moments) by the names in files."""
    return {
        f"layers.{layer}.{projection}.{name}": stacked[layer, index]
        for layer in range(A_LPRW.shape[0])
        for index, projection in enumerate(PROJECTIONS)
        for name, stacked in (("lora_A", A_LPRW), ("lora_B", B_LPWR))
    }
