"""Run the selective state-space model in kernels of our own: the same numbers as `scan.selective_scan`, on a GPU.

The plain form launches half a dozen kernels a step, each of which moves a (B, D, N) tensor through memory. Here one program
scans one channel of one sequence with its states in registers; the backward pass scans again, and leaves the states of one
channel at a time in a scratch that stays in the cache. Sums over sequences and channels are those of partial sums in a
fixed order, so that two runs give the same bytes.

Shapes: B sequences, S scan steps, D channels, N state size, G groups of channels; E networks, whose sequences follow one
    another, the same number of each.
Source: Gu & Dao 2023, arXiv:2312.00752, equations 1 and 2; the backward pass is their derivative, as in `numba_scan.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vtt_core.kernels.triton_kernels import kernel, tl

CHANNELS_A_PROGRAM = 8
"""Channels that one program of the backward pass takes one after the other."""


def triton_selective_scan(u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor) -> Tensor:
    """Return y_BSD; the arguments are those of `selective_scan`."""
    y_BSD: Tensor = _Scan.apply(u_BSD, step_BSD, A_DN, B_BSN, C_BSN, D_D)  # type: ignore[no-untyped-call]
    return y_BSD


class _Scan(torch.autograd.Function):
    """The scan, and its derivative with respect to every argument; A and D may be those of many networks."""

    @staticmethod
    def forward(*arguments: Tensor) -> Tensor:
        """Scan."""
        arguments = tuple(argument.contiguous() for argument in arguments)
        u_BSD, A = arguments[0], arguments[2]
        num_sequences, num_steps, width = u_BSD.shape
        num_states = A.shape[-1]
        y_BSD = torch.empty_like(u_BSD)
        _scan_forward[(num_sequences, width)](
            *arguments,
            y_BSD,
            _sequences_a_network(num_sequences, A),
            num_steps,
            width,
            num_states,
            BLOCK=_power_of_two(num_states),
            num_warps=1,
        )
        return y_BSD

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the arguments, and nothing else."""
        ctx.save_for_backward(*(argument.contiguous() for argument in inputs))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Tensor) -> tuple[Tensor, int]:
        """Scan the sequences of many networks at once."""
        assert arguments[2].ndim == 3, "networks of networks are not known"
        stacked = [
            argument.movedim(dim, 0) if dim is not None else argument.expand(info.batch_size, *argument.shape)
            for argument, dim in zip(arguments, in_dims, strict=True)
        ]
        u, step, A_EDN, B, C, D_ED = stacked
        flat = [argument.flatten(0, 1) for argument in (u, step, B, C)]
        y = triton_selective_scan(flat[0], flat[1], A_EDN, flat[2], flat[3], D_ED)
        return y.unflatten(0, u.shape[:2]), 0

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """Scan again, then back."""
        arguments = ctx.saved_tensors
        u_BSD, step_BSD, A, B_BSN, C_BSN, D = arguments
        num_sequences, num_steps, width = u_BSD.shape
        num_states = A.shape[-1]
        num_groups = -(-width // CHANNELS_A_PROGRAM)
        on_u, on_step = torch.empty_like(u_BSD), torch.empty_like(step_BSD)
        on_A = A.new_empty(num_sequences, width, num_states)
        on_B = B_BSN.new_zeros(num_groups, *B_BSN.shape)
        on_C = C_BSN.new_zeros(num_groups, *C_BSN.shape)
        on_D = u_BSD.new_empty(num_sequences, width)
        block = _power_of_two(num_states)
        states = u_BSD.new_empty(num_sequences, num_groups, num_steps + 1, block)
        _scan_backward[(num_sequences, num_groups)](
            *arguments,
            gradients[0].contiguous(),
            on_u,
            on_step,
            on_A,
            on_B,
            on_C,
            on_D,
            states,
            num_sequences,
            _sequences_a_network(num_sequences, A),
            num_steps,
            width,
            num_states,
            CHANNELS=CHANNELS_A_PROGRAM,
            BLOCK=block,
            num_warps=1,
        )
        num_networks = 1 if A.ndim == 2 else len(A)
        of_A, of_D = (summed.unflatten(0, (num_networks, -1)).sum(dim=1) for summed in (on_A, on_D))
        return on_u, on_step, of_A.view(A.shape), on_B.sum(dim=0), on_C.sum(dim=0), of_D.view(D.shape)


def _sequences_a_network(num_sequences: int, A: Tensor) -> int:
    return num_sequences if A.ndim == 2 else num_sequences // len(A)


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


@kernel
def _scan_forward(  # type: ignore[no-untyped-def]
    u, step, A, B, C, D, y, num_a_network, num_steps, width, num_states, BLOCK: tl.constexpr
):
    b, d = tl.program_id(0), tl.program_id(1)
    n = tl.arange(0, BLOCK)
    is_state = n < num_states
    channel = (b // num_a_network) * width + d
    A_N = tl.load(A + channel * num_states + n, is_state, 0.0)
    D_d = tl.load(D + channel)
    state_N = tl.zeros((BLOCK,), u.dtype.element_ty)
    for s in range(num_steps):
        row = b * num_steps + s
        length, x = tl.load(step + row * width + d), tl.load(u + row * width + d)
        B_N = tl.load(B + row * num_states + n, is_state, 0.0)
        C_N = tl.load(C + row * num_states + n, is_state, 0.0)
        state_N = tl.exp(length * A_N) * state_N + length * x * B_N
        tl.store(y + row * width + d, tl.sum(state_N * C_N, axis=0) + D_d * x)


@kernel
def _scan_backward(  # type: ignore[no-untyped-def]
    u,
    step,
    A,
    B,
    C,
    D,
    on_y,
    on_u,
    on_step,
    on_A,
    on_B,
    on_C,
    on_D,
    states,
    num_sequences,
    num_a_network,
    num_steps,
    width,
    num_states,
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    b, group = tl.program_id(0), tl.program_id(1)
    n = tl.arange(0, BLOCK)
    is_state = n < num_states
    scratch = states + (b * tl.num_programs(1) + group) * (num_steps + 1) * BLOCK + n
    for d in range(group * CHANNELS, tl.minimum(group * CHANNELS + CHANNELS, width)):
        channel = (b // num_a_network) * width + d
        A_N = tl.load(A + channel * num_states + n, is_state, 0.0)
        D_d = tl.load(D + channel)
        state_N = tl.zeros((BLOCK,), u.dtype.element_ty)
        tl.store(scratch, state_N)
        for s in range(num_steps):
            row = b * num_steps + s
            length, x = tl.load(step + row * width + d), tl.load(u + row * width + d)
            B_N = tl.load(B + row * num_states + n, is_state, 0.0)
            state_N = tl.exp(length * A_N) * state_N + length * x * B_N
            tl.store(scratch + (s + 1) * BLOCK, state_N)
        tl.debug_barrier()
        g_state_N = tl.zeros((BLOCK,), u.dtype.element_ty)
        g_A_N = tl.zeros((BLOCK,), u.dtype.element_ty)
        g_D = D_d * 0
        for later in range(num_steps):
            s = num_steps - 1 - later
            row = b * num_steps + s
            partial = (group * num_sequences * num_steps + row) * num_states + n
            length, x = tl.load(step + row * width + d), tl.load(u + row * width + d)
            g = tl.load(on_y + row * width + d)
            B_N = tl.load(B + row * num_states + n, is_state, 0.0)
            C_N = tl.load(C + row * num_states + n, is_state, 0.0)
            before_N = tl.load(scratch + s * BLOCK)
            decay_N = tl.exp(length * A_N)
            g_state_N += g * C_N
            tl.store(on_C + partial, tl.load(on_C + partial, is_state, 0.0) + g * state_N, is_state)
            tl.store(on_B + partial, tl.load(on_B + partial, is_state, 0.0) + g_state_N * length * x, is_state)
            g_entering = tl.sum(g_state_N * B_N, axis=0)
            g_exponent_N = g_state_N * decay_N * before_N
            g_A_N += g_exponent_N * length
            tl.store(on_step + row * width + d, tl.sum(g_exponent_N * A_N, axis=0) + g_entering * x)
            tl.store(on_u + row * width + d, g_entering * length + g * D_d)
            g_D += g * x
            g_state_N = g_state_N * decay_N
            state_N = before_N
        tl.store(on_A + (b * width + d) * num_states + n, g_A_N, is_state)
        tl.store(on_D + b * width + d, g_D)
        tl.debug_barrier()
