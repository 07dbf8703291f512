"""Choose what runs the selective state-space model, and say why: the one place that knows all of its forms.

    on CUDA   mamba-ssm   its kernels, where they are preferred, installed and take the sizes: other last bits in every run
              triton      else kernels of our own, where Triton and a C compiler are: the same bytes in every run
    on a CPU  compiled    loops of our own
    else      plain       the reference, `scan.selective_scan`

A repeated job ends in the same bytes, and so does one that goes on from its checkpoint. mamba-ssm's backward pass breaks that
(see `mamba_ssm_scan.py`), so its kernels run only where they are preferred. Stacked networks (`training/fast/stacked.py`) take
our own, or the plain form, whatever is preferred: no other has a rule for `torch.func.vmap`.

Shapes: B sequences, S scan steps, D channels, N state size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vtt_core.fusion.mamba_ssm_scan import MAX_STATES, find_kernel, mamba_ssm_scan
from vtt_core.fusion.numba_scan import numba_selective_scan
from vtt_core.fusion.scan import selective_scan
from vtt_core.fusion.triton_scan import triton_selective_scan
from vtt_core.kernels.triton_kernels import can_launch_on

SelectiveScan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
ScanName = Literal["mamba-ssm", "triton", "compiled", "plain"]
ScanPreference = Literal["reproducible", "mamba-ssm"]

_DIFFERS = "its backward pass adds in no fixed order, so that a repeated job differs in its last bits"


@dataclass(frozen=True)
class ScanChoice:
    """What runs the scan."""

    name: ScanName
    reason: str
    """Why this one, and why not mamba-ssm's kernels; for people."""
    run: SelectiveScan


class _Preferred:
    """The preference of this process; set once, when it starts."""

    scan: ScanPreference = "reproducible"


def prefer_scan(preference: ScanPreference) -> None:
    """Prefer a scan from now on in this process: one that repeats itself to the byte, or mamba-ssm's kernels."""
    _Preferred.scan = preference


def choose_scan(device: torch.device, num_states: int | None = None, dtype: torch.dtype = torch.float32) -> ScanChoice:
    """Return what runs the scan.

    Args:
        device: of the tensors.
        num_states: states N of a channel; None where they are not known yet and are taken to fit.
        dtype: of the tensors.
    """
    if device.type == "cpu":
        return ScanChoice("compiled", "on a CPU the loops compiled here are the fastest form", numba_selective_scan)
    if device.type != "cuda":
        return ScanChoice(
            "plain", f"there are kernels for CUDA devices and loops for CPUs, but not for {device.type!r}", selective_scan
        )
    refusal = _why_not_mamba_ssm(num_states, dtype)
    if _Preferred.scan == "mamba-ssm" and refusal is None:
        return ScanChoice("mamba-ssm", f"its kernels are there and preferred; {_DIFFERS}", mamba_ssm_scan)
    why_not = refusal or f"mamba-ssm's are there but not preferred: {_DIFFERS}"
    if can_launch_on(device.type):
        return ScanChoice("triton", f"our own kernels repeat themselves to the byte; {why_not}", triton_selective_scan)
    return ScanChoice("plain", f"Triton or a C compiler for our own kernels is missing; {why_not}", selective_scan)


def fast_selective_scan(u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor) -> Tensor:
    """Return y_BSD by the scan that is chosen for the device; the arguments are those of `selective_scan`."""
    return choose_scan(u_BSD.device, A_DN.shape[-1], u_BSD.dtype).run(u_BSD, step_BSD, A_DN, B_BSN, C_BSN, D_D)


def choose_stacked_scan(device: torch.device) -> SelectiveScan:
    """Return what runs the scans of stacked networks.

    Args:
        device: of the tensors.
    """
    return triton_selective_scan if can_launch_on(device.type) else selective_scan


def _why_not_mamba_ssm(num_states: int | None, dtype: torch.dtype) -> str | None:
    """Say why mamba-ssm's kernels cannot run a scan on a CUDA device, or None where they can."""
    if dtype != torch.float32:
        return f"mamba-ssm's kernels are used in float32, not in {str(dtype).removeprefix('torch.')}"
    if num_states is not None and num_states > MAX_STATES:
        return f"mamba-ssm's kernels take {MAX_STATES} states at most, not {num_states}"
    kernel = find_kernel()
    return kernel if isinstance(kernel, str) else None
