"""The state-space block: parameters named as in mamba-ssm's `Mamba`, scanned in four directions.

Shapes: B images, S scan steps, D channels (expand 1), N state size, R rank of the step size.
Source: METHOD.md, rows "scan" and "Mamba block"; zhenyuZ-HUST/CVPR26-VtT@93e79e7;
    initial values as in state-spaces/mamba, `mamba_ssm/modules/mamba_simple.py`.
Differs: the authors put the outputs of the four directions back into one order before adding them; only
    their mean over the steps is used, which no order changes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.fusion.scan import selective_scan

MIN_STEP, MAX_STEP, STEP_FLOOR = 1e-3, 1e-1, 1e-4
"""Range of the initial step sizes, log-uniform, and their floor. Source: mamba-ssm's defaults."""


class Mamba(nn.Module):
    """One selective state-space block without expansion."""

    def __init__(self, width: int, state_size: int, step_rank: int, convolution_width: int) -> None:
        """Draw the initial values from torch's global generator.

        Args:
            width: channels D.
            state_size: states N of each channel.
            step_rank: rank R of the projection that gives the step sizes.
            convolution_width: steps that the causal convolution sees.
        """
        super().__init__()
        self.in_proj = nn.Linear(width, 2 * width, bias=False)
        self.conv1d = nn.Conv1d(width, width, convolution_width, groups=width, padding=convolution_width - 1)
        self.x_proj = nn.Linear(width, step_rank + 2 * state_size, bias=False)
        self.dt_proj = nn.Linear(step_rank, width)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, state_size + 1)).repeat(width, 1))
        self.D = nn.Parameter(torch.ones(width))
        self.out_proj = nn.Linear(width, width, bias=False)
        self._initialise_steps(step_rank)

    def _initialise_steps(self, step_rank: int) -> None:
        bound = step_rank**-0.5
        nn.init.uniform_(self.dt_proj.weight, -bound, bound)
        exponent_D = torch.rand(self.D.shape[0]) * (math.log(MAX_STEP) - math.log(MIN_STEP)) + math.log(MIN_STEP)
        step_D = torch.exp(exponent_D).clamp(min=STEP_FLOOR)
        with torch.no_grad():
            self.dt_proj.bias.copy_(step_D + torch.log(-torch.expm1(-step_D)))

    def forward(self, tokens_BSD: Tensor, orders: list[Tensor]) -> Tensor:
        """Return the sum over the directions of each direction's output, in that direction's own order.

        Args:
            tokens_BSD: input sequence.
            orders: permutation of the S steps for every direction.
        """
        return torch.stack(self.directions(tokens_BSD, orders)).sum(dim=0)

    def directions(self, tokens_BSD: Tensor, orders: list[Tensor]) -> list[Tensor]:
        """Return the output of each direction, in that direction's own order."""
        x_BSD, z_BSD = self.in_proj(tokens_BSD).chunk(2, dim=-1)
        return [self._scan_one_direction(x_BSD[:, order], z_BSD[:, order]) for order in orders]

    def _scan_one_direction(self, x_BSD: Tensor, z_BSD: Tensor) -> Tensor:
        num_steps = x_BSD.shape[1]
        u_BSD = functional.silu(self.conv1d(x_BSD.transpose(1, 2))[..., :num_steps].transpose(1, 2))
        low_rank_BSR, B_BSN, C_BSN = self.split_projection(u_BSD)
        step_BSD = functional.softplus(self.dt_proj(low_rank_BSR))
        y_BSD = selective_scan(u_BSD, step_BSD, -torch.exp(self.A_log), B_BSN, C_BSN, self.D)
        output_BSD: Tensor = self.out_proj(y_BSD * functional.silu(z_BSD))
        return output_BSD

    def split_projection(self, u_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the step sizes before their second projection (R), and B and C of every step (N each)."""
        state_size = self.A_log.shape[1]
        low_rank_BSR, B_BSN, C_BSN = self.x_proj(u_BSD).split([self.dt_proj.in_features, state_size, state_size], dim=-1)
        return low_rank_BSR, B_BSN, C_BSN
