"""Run the selective state-space model in mamba-ssm's CUDA kernels, where that package is there and loads.

Its backward pass adds up the gradients of A, B, C and D with atomic additions, in the order in which blocks of threads happen
to end, so two runs differ in their last bits. `scan_choice.py` says when it is taken.

Shapes: B sequences, S scan steps, D channels, N state size. The kernels want the steps last: u_BDS, step_BDS, B_BNS, C_BNS.
Source: state-spaces/mamba@01887ed, `mamba_ssm/ops/selective_scan_interface.py` (`selective_scan_fn`), and
    `csrc/selective_scan/`: `selective_scan.cpp` (types and sizes), `selective_scan_bwd_kernel.cuh` (`gpuAtomicAdd`);
    state-spaces/mamba#493, where its author says that the backward pass is not deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from torch import Tensor

from vtt_core.contract.extras import install_extra

MAX_STATES = 256
"""The most states N that its kernels take."""
INTERFACE = "mamba_ssm.ops.selective_scan_interface"
Kernel = Callable[..., Tensor]


@cache
def find_kernel() -> Kernel | str:
    """Return `selective_scan_fn`, or why it is not there, in words; looked for once in a process."""
    try:
        kernel: Kernel = import_module(INTERFACE).selective_scan_fn
    except ModuleNotFoundError as error:
        if error.name == "mamba_ssm":
            return f"mamba-ssm is not installed: {install_extra('cuda', 'install')}, which compiles it with the CUDA toolkit"
        return f"mamba-ssm is installed but does not load: {error}"
    except Exception as error:  # compiled for another torch or CUDA; what is raised then depends on where it breaks
        return f"mamba-ssm is installed but does not load: {type(error).__name__}: {str(error)[:200]}"
    return kernel


def mamba_ssm_scan(u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor) -> Tensor:
    """Return y_BSD by mamba-ssm's kernels; the arguments are those of `selective_scan`, in float32 on a CUDA device."""
    kernel = find_kernel()
    assert not isinstance(kernel, str), kernel
    return scan_with_steps_last(kernel, u_BSD, step_BSD, A_DN, B_BSN, C_BSN, D_D)


def scan_with_steps_last(
    kernel: Kernel, u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor
) -> Tensor:
    """Return y_BSD of a kernel with mamba-ssm's layout.

    Args:
        kernel: takes u_BDS, step_BDS, A_DN, B_BNS, C_BNS, D_D, steps side by side in memory, and gives y_BDS.
        u_BSD: see `selective_scan`, as are the others.
        step_BSD: positive.
        A_DN: negative.
        B_BSN: of every step.
        C_BSN: of every step.
        D_D: of the direct path.
    """
    u_BDS, step_BDS, B_BNS, C_BNS = (tensor.transpose(1, 2).contiguous() for tensor in (u_BSD, step_BSD, B_BSN, C_BSN))
    y_BDS = kernel(u_BDS, step_BDS, A_DN.contiguous(), B_BNS, C_BNS, D_D.contiguous())
    return y_BDS.transpose(1, 2)
