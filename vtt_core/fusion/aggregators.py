"""Read the sequence of layers without a state-space model: the alternatives of the ablation.

torch's own recurrent layers and attention are not used: they cannot run stacked networks (`training/fast/stacked.py`).

Shapes: B images, S steps, D joint size, H heads.
Source: Zhang et al. 2026, arXiv:2603.05235, ablation of the aggregator; Elman 1990; Hochreiter & Schmidhuber 1997;
    Vaswani et al. 2017, arXiv:1706.03762.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

NUM_HEADS = 8
"""Of the attention, where the joint size can be divided by it. Source: ours, as a CLIP text tower of width 512."""


class Attention(nn.Module):
    """Multi-head self-attention over the steps; it sees them all at once, whatever the direction."""

    def __init__(self, width: int) -> None:
        """Draw the initial values from torch's global generator.

        Args:
            width: joint size D.
        """
        super().__init__()
        self.num_heads = math.gcd(NUM_HEADS, width)
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens_BSD: Tensor, orders: list[Tensor]) -> Tensor:
        """Return the output of every step."""
        (read_BSD,) = self.directions(tokens_BSD, orders)
        return read_BSD

    def directions(self, tokens_BSD: Tensor, orders: list[Tensor]) -> list[Tensor]:
        """Return the one output."""
        q_BHSE, k_BHSE, v_BHSE = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in self.in_proj(tokens_BSD).chunk(3, dim=-1)
        )
        weights_BHSS = (q_BHSE @ k_BHSE.transpose(-1, -2) * q_BHSE.shape[-1] ** -0.5).softmax(dim=-1)
        read_BHSE = weights_BHSS @ v_BHSE
        return [self.out_proj(read_BHSE.transpose(1, 2).flatten(2))]


class Recurrent(nn.Module, ABC):
    """One recurrent layer, the same weights in every direction."""

    num_gates: int

    def __init__(self, width: int) -> None:
        """Draw the initial values from torch's global generator.

        Args:
            width: joint size D, also that of the hidden state.
        """
        super().__init__()
        self.input_proj = nn.Linear(width, self.num_gates * width)
        self.hidden_proj = nn.Linear(width, self.num_gates * width)

    def forward(self, tokens_BSD: Tensor, orders: list[Tensor]) -> Tensor:
        """Return the sum over the directions of each direction's hidden states, in that direction's own order."""
        return torch.stack(self.directions(tokens_BSD, orders)).sum(dim=0)

    def directions(self, tokens_BSD: Tensor, orders: list[Tensor]) -> list[Tensor]:
        """Return the hidden states of each direction, in that direction's own order."""
        entering = self.input_proj(tokens_BSD)
        return [self._run(entering[:, order]) for order in orders]

    def _run(self, entering_BSG: Tensor) -> Tensor:
        width = entering_BSG.shape[-1] // self.num_gates
        hidden_BD = cell_BD = torch.zeros_like(entering_BSG[:, 0, :width])
        states = []
        for step in range(entering_BSG.shape[1]):
            hidden_BD, cell_BD = self.advance(entering_BSG[:, step] + self.hidden_proj(hidden_BD), cell_BD)
            states.append(hidden_BD)
        return torch.stack(states, dim=1)

    @abstractmethod
    def advance(self, gates_BG: Tensor, cell_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hidden state and cell."""


class Rnn(Recurrent):
    """Elman's network with tanh."""

    num_gates = 1

    def advance(self, gates_BG: Tensor, cell_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hidden state; there is no cell."""
        return torch.tanh(gates_BG), cell_BD


class Lstm(Recurrent):
    """Long short-term memory: input, forget, cell and output gates, in torch's order."""

    num_gates = 4

    def advance(self, gates_BG: Tensor, cell_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hidden state and cell."""
        entering_BD, forgetting_BD, candidate_BD, leaving_BD = gates_BG.chunk(4, dim=-1)
        cell_BD = torch.sigmoid(forgetting_BD) * cell_BD + torch.sigmoid(entering_BD) * torch.tanh(candidate_BD)
        return torch.sigmoid(leaving_BD) * torch.tanh(cell_BD), cell_BD
