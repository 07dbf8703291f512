"""Add low-rank layers to q, k and v of a tower's attention, without touching the tower.

The tower receives the LoRA as an argument, so one frozen tower serves any number of them.

Shapes: B images, T tokens, W tower width, R rank.
Source: METHOD.md, row "LoRA"; Zanella & Ben Ayed 2024, arXiv:2405.18541 (CLIP-LoRA); the scaling
    alpha / sqrt(rank) is Kalajdzievski 2023, arXiv:2312.03732.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

PROJECTIONS = ("q_proj", "k_proj", "v_proj")


class LoraLinear(nn.Module):
    """The low-rank change of one square projection: scaling * B A x.

    A starts Kaiming-uniform, B at zero, so that a new LoRA changes nothing.
    """

    def __init__(self, width: int, rank: int, scaling: float, dropout: float) -> None:
        """Draw A from torch's global generator.

        Args:
            width: size of the input and the output.
            rank: rows of A, columns of B.
            scaling: factor on the product.
            dropout: probability of zeroing an input while training.
        """
        super().__init__()
        self.scaling = scaling
        self.dropout = dropout
        self.lora_A = nn.Parameter(torch.empty(rank, width))
        self.lora_B = nn.Parameter(torch.zeros(width, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x_BTW: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return the change of the projection's output.

        Args:
            x_BTW: input of the projection.
            generator: source of the dropout mask; None means no dropout.
        """
        if generator is not None and self.dropout > 0:
            kept_BTW = torch.rand(x_BTW.shape, generator=generator, device=x_BTW.device) >= self.dropout
            x_BTW = x_BTW * kept_BTW / (1 - self.dropout)
        return functional.linear(functional.linear(x_BTW, self.lora_A), self.lora_B) * self.scaling

    def delta(self) -> Tensor:
        """Return the (W, W) matrix that merging adds to the frozen weight."""
        return self.lora_B @ self.lora_A * self.scaling


class AttentionLora(nn.Module):
    """The three low-rank layers of one attention block."""

    def __init__(self, width: int, rank: int, scaling: float, dropout: float) -> None:
        """Make q, k and v in this order; the arguments are those of LoraLinear."""
        super().__init__()
        self.q_proj = LoraLinear(width, rank, scaling, dropout)
        self.k_proj = LoraLinear(width, rank, scaling, dropout)
        self.v_proj = LoraLinear(width, rank, scaling, dropout)

    def forward(self, x_BTW: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return the change of the packed (B, T, 3W) projection, dropout drawn separately for each third."""
        return torch.cat([layer(x_BTW, generator) for layer in (self.q_proj, self.k_proj, self.v_proj)], dim=-1)

    def delta(self) -> Tensor:
        """Return the (3W, W) matrix that merging adds to the packed frozen weight."""
        return torch.cat([layer.delta() for layer in (self.q_proj, self.k_proj, self.v_proj)])


class TowerLora(nn.Module):
    """The low-rank layers of every block of one tower; all of a LoRA's parameters and nothing else."""

    def __init__(self, num_layers: int, width: int, rank: int, scaling: float, dropout: float = 0.0) -> None:
        """Make one AttentionLora a block; the arguments are those of LoraLinear."""
        super().__init__()
        self.rank = rank
        self.scaling = scaling
        self.layers = nn.ModuleList(AttentionLora(width, rank, scaling, dropout) for _ in range(num_layers))

    def layer(self, index: int) -> AttentionLora:
        """Return the LoRA of block `index`, 0 first."""
        layer = self.layers[index]
        assert isinstance(layer, AttentionLora)
        return layer

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.layers)
