"""Run the fusion network with what its directions share computed once: the same numbers as `FusionNetwork.forward`.

The stem, the input projection and the gate do not depend on the direction; the directions are scanned as one batch; the output
projection is linear, so it is applied to the sum over directions, and in the last block to the mean over the steps.

Shapes: B images, S scan steps, O directions, D joint size.
Source: METHOD.md, rows "residual branch", "SSM branch" and "scan".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.fusion.mamba import Mamba
from vtt_core.fusion.network import Fusion, FusionNetwork
from vtt_core.fusion.scan_choice import SelectiveScan, fast_selective_scan


def fast_fuse(network: Fusion, sequence_BSD: Tensor, scan: SelectiveScan | None = None) -> Tensor:
    """Return the fused vector mu_BD of each image.

    Args:
        network: whose parameters are used; one without a state-space model runs as it is.
        sequence_BSD: layers of both towers, see `interleave_layers`.
        scan: what runs the state-space model; None for what is chosen for the device.
    """
    if not isinstance(network, FusionNetwork) or not isinstance(network.block, Mamba):
        fused_BD: Tensor = network(sequence_BSD)
        return fused_BD
    tokens_BSD, orders_OS = network.tokens(sequence_BSD), network.orders_OS
    for block in network.lower_blocks:
        assert isinstance(block, Mamba)
        gated_BOSD = _gated_directions(block, tokens_BSD, orders_OS, scan)
        in_order = torch.stack([gated_BOSD[:, index, order.argsort()] for index, order in enumerate(orders_OS)])
        tokens_BSD = tokens_BSD + block.out_proj(in_order.sum(dim=0))
    gated_BD = _gated_directions(network.block, tokens_BSD, orders_OS, scan).sum(dim=(1, 2)) / tokens_BSD.shape[1]
    residual_BD = network.residual_proj(sequence_BSD.mean(dim=1))
    fused_BD = network.adapter(residual_BD + network.block.out_proj(gated_BD))
    return fused_BD


def _gated_directions(block: Mamba, tokens_BSD: Tensor, orders_OS: Tensor, scan: SelectiveScan | None) -> Tensor:
    """Return what enters the output projection, each direction in its own order."""
    x_BSD, z_BSD = block.in_proj(tokens_BSD).chunk(2, dim=-1)
    return _scan_directions(block, x_BSD[:, orders_OS], scan) * functional.silu(z_BSD)[:, orders_OS]


def _scan_directions(block: Mamba, x_BOSD: Tensor, scan: SelectiveScan | None) -> Tensor:
    """Return y_BOSD of every direction, each in its own order, before the gate."""
    u_BOSD = functional.silu(_convolve(block, x_BOSD))
    low_rank, B, C = block.split_projection(u_BOSD)
    step_BOSD = functional.softplus(block.dt_proj(low_rank))
    u, step, B, C = (tensor.flatten(0, 1) for tensor in (u_BOSD, step_BOSD, B, C))
    y = (scan or fast_selective_scan)(u, step, -torch.exp(block.A_log), B, C, block.D)
    return y.view(x_BOSD.shape)


def _convolve(block: Mamba, x_BOSD: Tensor) -> Tensor:
    """Return the causal depthwise convolution: a sum of few shifted products, which costs less than a general one."""
    kernel_DF, num_steps = block.conv1d.weight[:, 0], x_BOSD.shape[2]
    num_taps = kernel_DF.shape[1]
    padded = functional.pad(x_BOSD, (0, 0, num_taps - 1, 0))
    assert block.conv1d.bias is not None
    total_BOSD = block.conv1d.bias.expand(x_BOSD.shape)
    for tap in range(num_taps):
        total_BOSD = torch.addcmul(total_BOSD, padded[:, :, tap : tap + num_steps], kernel_DF[:, tap])
    return total_BOSD
