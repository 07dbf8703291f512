"""Fuse the layers of both towers into one vector per image.

Shapes: B images, S scan steps, O directions, D joint size, M = 2D width of the stem.
Source: Zhang et al. 2026, arXiv:2603.05235, vision-text fusion; METHOD.md, rows "residual branch" and
    "SSM branch"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors' 1x1 convolutions on a 5x5 grid are linear layers on tokens, and their normalisation
    over [2D, 5, 5] is one over [S, 2D]: the same numbers in another order. What the paper leaves open of its own form is
    said at `FusionForm`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.contract.recipe import Aggregator, Scan
from vtt_core.fusion.aggregators import Attention, Lstm, Recurrent, Rnn
from vtt_core.fusion.layer_orders import scan_orders, sum_in_order
from vtt_core.fusion.mamba import Mamba

NEGATIVE_SLOPE = 0.1
"""Slope of the stem's leaky ReLU. Source: released."""
Block = Mamba | Attention | Recurrent
POSITION_STD = 0.02
"""Standard deviation of the initial positional embedding, truncated at two. Source: released."""


@dataclass(frozen=True)
class FusionForm:
    """The variable parts of the network; the defaults are the released ones."""

    aggregator: Aggregator = "ssm"
    num_layers: int = 1
    """Blocks; each but the last adds to what it reads (ours: the paper only says how many)."""
    scan: Scan = "four-ways"
    has_mlp: bool = False
    """Whether the residual branch has two linear layers, the stem's activation between them (paper), and not one."""
    has_adapter: bool = False
    """Whether a linear map follows, which starts as the identity (ours: the paper says only that it is learnt)."""


class FusionNetwork(nn.Module):
    """A residual branch plus a branch that reads the sequence; only training needs it."""

    orders_OS: Tensor
    """Order of the steps in each direction."""

    def __init__(
        self,
        num_steps: int,
        width: int,
        state_size: int,
        step_rank: int,
        convolution_width: int = 4,
        form: FusionForm = FusionForm(),  # noqa: B008 - it is frozen
    ) -> None:
        """Draw the initial values from torch's global generator.

        Args:
            num_steps: length S of the sequence.
            width: joint size D.
            state_size: states N of each channel of a state-space block.
            step_rank: rank of such a block's step sizes.
            convolution_width: steps that such a block's causal convolution sees.
            form: what reads the sequence, and what stands around it.
        """
        super().__init__()

        def make_block() -> Block:
            if form.aggregator == "ssm":
                return Mamba(width, state_size, step_rank, convolution_width)
            kinds: dict[str, type[Attention | Recurrent]] = {"attention": Attention, "rnn": Rnn, "lstm": Lstm}
            return kinds[form.aggregator](width)

        self.residual_proj: nn.Module = nn.Linear(width, width, bias=False)
        self.stem_in = nn.Linear(width, 2 * width)
        self.stem_norm = nn.LayerNorm((num_steps, 2 * width))
        self.stem_out = nn.Linear(2 * width, width, bias=False)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(self.stem_in.weight.new_empty(num_steps, width), std=POSITION_STD))
        self.block = make_block()
        self.lower_blocks = nn.ModuleList(make_block() for _ in range(form.num_layers - 1))
        if form.has_mlp:
            self.residual_proj = nn.Sequential(
                nn.Linear(width, width), nn.LeakyReLU(NEGATIVE_SLOPE), nn.Linear(width, width, bias=False)
            )
        self.adapter = identity_linear(width) if form.has_adapter else nn.Identity()
        # Attention sees all steps at once: further directions would only repeat the first.
        scan: Scan = "deep-to-shallow" if form.aggregator == "attention" else form.scan
        self.register_buffer("orders_OS", torch.stack(scan_orders(num_steps, scan)), persistent=False)

    def forward(self, sequence_BSD: Tensor) -> Tensor:
        """Return the fused vector mu_BD of each image.

        Args:
            sequence_BSD: layers of both towers, see `interleave_layers`.
        """
        orders, tokens_BSD = list(self.orders_OS), self.tokens(sequence_BSD)
        for block in self.lower_blocks:
            assert isinstance(block, Block)
            tokens_BSD = tokens_BSD + sum_in_order(block.directions(tokens_BSD, orders), orders)
        residual_BD = self.residual_proj(sequence_BSD.mean(dim=1))
        fused_BD: Tensor = self.adapter(residual_BD + self.block(tokens_BSD, orders).mean(dim=1))
        return fused_BD

    def tokens(self, sequence_BSD: Tensor) -> Tensor:
        """Return what the first block reads: the stem's output and the positions."""
        hidden_BSM = functional.leaky_relu(self.stem_norm(self.stem_in(sequence_BSD)), NEGATIVE_SLOPE)
        tokens_BSD: Tensor = self.stem_out(hidden_BSM) + self.pos_embed
        return tokens_BSD


class NoFusion(nn.Module):
    """The image feature alone, in the place of a fused vector: the ablation without fusion."""

    def __init__(self, width: int, *, has_adapter: bool = False) -> None:
        """Make the adapter, where there is one.

        Args:
            width: joint size D.
            has_adapter: whether a learnt linear map follows.
        """
        super().__init__()
        self.adapter = identity_linear(width) if has_adapter else nn.Identity()

    def forward(self, sequence_BSD: Tensor) -> Tensor:
        """Return the final image feature, which is step 0 of every sequence."""
        fused_BD: Tensor = self.adapter(sequence_BSD[:, 0])
        return fused_BD


Fusion = FusionNetwork | NoFusion


def identity_linear(width: int) -> nn.Linear:
    """Return a linear map that starts as the identity."""
    linear = nn.Linear(width, width)
    with torch.no_grad():
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)
    return linear
