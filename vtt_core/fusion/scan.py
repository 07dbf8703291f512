"""Run a selective state-space model over a short sequence: the plain reference.

Shapes: B sequences, S scan steps, D channels, N state size.
Source: Gu & Dao 2023, arXiv:2312.00752, equations 1 and 2 with the discretisation of section 2;
    METHOD.md, row "Mamba block".
"""

from __future__ import annotations

import torch
from torch import Tensor


def selective_scan(u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor) -> Tensor:
    """Return y_BSD with h_s = exp(step A) h_(s-1) + step B u and y_s = C h_s + D u.

    Args:
        u_BSD: input of every channel.
        step_BSD: positive step size of every channel.
        A_DN: negative decay of every state.
        B_BSN: what each state takes from the input.
        C_BSN: what the output takes from each state.
        D_D: weight of the direct path.
    """
    state_BDN = u_BSD.new_zeros(u_BSD.shape[0], *A_DN.shape)
    outputs = []
    for s in range(u_BSD.shape[1]):
        step_BD1 = step_BSD[:, s, :, None]
        entering_BDN = step_BD1 * u_BSD[:, s, :, None] * B_BSN[:, s, None, :]
        state_BDN = torch.exp(step_BD1 * A_DN) * state_BDN + entering_BDN
        outputs.append(torch.einsum("bdn,bn->bd", state_BDN, C_BSN[:, s]))
    return torch.stack(outputs, dim=1) + D_D * u_BSD
