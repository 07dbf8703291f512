"""Fuse the layers of both towers into one vector per image.

Shapes: B images, S scan steps, O = 4 directions, D joint size, M = 2D width of the stem.
Source: Zhang et al. 2026, arXiv:2603.05235, vision-text fusion; METHOD.md, rows "residual branch" and
    "SSM branch"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors' 1x1 convolutions on a 5x5 grid are linear layers on tokens, and their normalisation
    over [2D, 5, 5] is one over [S, 2D]: the same numbers in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.fusion.mamba import Mamba, grid_orders

NEGATIVE_SLOPE = 0.1
"""Slope of the stem's leaky ReLU. Source: released."""
POSITION_STD = 0.02
"""Standard deviation of the initial positional embedding, truncated at two. Source: released."""


class FusionNetwork(nn.Module):
    """A residual branch plus a state-space branch; only training needs it."""

    orders_OS: Tensor
    """Order of the steps in each direction."""

    def __init__(self, num_steps: int, width: int, state_size: int, step_rank: int, convolution_width: int = 4) -> None:
        """Draw the initial values from torch's global generator.

        Args:
            num_steps: length S of the sequence.
            width: joint size D.
            state_size: states N of each channel of the block.
            step_rank: rank of the block's step sizes.
            convolution_width: steps that the block's causal convolution sees.
        """
        super().__init__()
        self.residual_proj = nn.Linear(width, width, bias=False)
        self.stem_in = nn.Linear(width, 2 * width)
        self.stem_norm = nn.LayerNorm((num_steps, 2 * width))
        self.stem_out = nn.Linear(2 * width, width, bias=False)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(self.stem_in.weight.new_empty(num_steps, width), std=POSITION_STD))
        self.block = Mamba(width, state_size, step_rank, convolution_width)
        self.register_buffer("orders_OS", torch.stack(grid_orders(num_steps)), persistent=False)

    def forward(self, sequence_BSD: Tensor) -> Tensor:
        """Return the fused vector mu_BD of each image.

        Args:
            sequence_BSD: layers of both towers, see `interleave_layers`.
        """
        residual_BD = self.residual_proj(sequence_BSD.mean(dim=1))
        fused_BD: Tensor = residual_BD + self.block(self.tokens(sequence_BSD), list(self.orders_OS)).mean(dim=1)
        return fused_BD

    def tokens(self, sequence_BSD: Tensor) -> Tensor:
        """Return what the state-space block reads: the stem's output and the positions."""
        hidden_BSM = functional.leaky_relu(self.stem_norm(self.stem_in(sequence_BSD)), NEGATIVE_SLOPE)
        tokens_BSD: Tensor = self.stem_out(hidden_BSM) + self.pos_embed
        return tokens_BSD
