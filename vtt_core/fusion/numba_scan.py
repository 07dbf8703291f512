"""Run the selective state-space model in compiled loops: the same numbers as `scan.selective_scan`, in less time and memory.

The plain form writes a (B, D, N) tensor several times for each step. Here one channel of one sequence is scanned at a time, its
states stay in the processor's cache, and the backward pass computes them again instead of keeping them.

Shapes: B sequences, S scan steps, D channels, N state size.
Source: Gu & Dao 2023, arXiv:2312.00752, equations 1 and 2 with the discretisation of section 2; the backward pass is their
    derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vtt_core.kernels.numba_loops import compiled, exp


def numba_selective_scan(u_BSD: Tensor, step_BSD: Tensor, A_DN: Tensor, B_BSN: Tensor, C_BSN: Tensor, D_D: Tensor) -> Tensor:
    """Return y_BSD; the arguments are those of `selective_scan`, on a CPU."""
    y_BSD: Tensor = _Scan.apply(u_BSD, step_BSD, A_DN, B_BSN, C_BSN, D_D)  # type: ignore[no-untyped-call]
    return y_BSD


class _Scan(torch.autograd.Function):
    """The scan, and its derivative with respect to every argument."""

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        """Scan; only the arguments are kept."""
        arguments = tuple(argument.contiguous() for argument in arguments)
        ctx.save_for_backward(*arguments)
        y_BSD = torch.empty_like(arguments[0])
        _scan_forward(_arrays(arguments), y_BSD.numpy())
        return y_BSD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """Scan again, then back."""
        arguments = ctx.saved_tensors
        # u and step are written, the others summed up.
        results = tuple(torch.zeros_like(argument) for argument in arguments)
        _scan_backward(_arrays(arguments), gradients[0].contiguous().numpy(), _arrays(results))
        return results


def _arrays(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    return tuple(tensor.numpy() for tensor in tensors)


@compiled
def _scan_forward(inputs: Any, y: Any) -> None:
    u, step, A, B, C, D = inputs
    num_sequences, num_steps, width = u.shape
    num_states = A.shape[1]
    state = np.empty(num_states, u.dtype)
    for b in range(num_sequences):
        for d in range(width):
            state[:] = 0
            for s in range(num_steps):
                length = step[b, s, d]
                entering = length * u[b, s, d]
                total = D[d] * u[b, s, d]
                for n in range(num_states):
                    state_n = exp(length * A[d, n]) * state[n] + entering * B[b, s, n]
                    state[n] = state_n
                    total += state_n * C[b, s, n]
                y[b, s, d] = total


@compiled
def _scan_backward(inputs: Any, g_y: Any, gradients: Any) -> None:
    u, step, A, B, C, D = inputs
    g_u, g_step, g_A, g_B, g_C, g_D = gradients
    num_sequences, num_steps, width = u.shape
    num_states = A.shape[1]
    states = np.empty((num_steps + 1, num_states), u.dtype)  # before each step, and after the last
    decays = np.empty((num_steps, num_states), u.dtype)
    g_state = np.empty(num_states, u.dtype)
    g_A_d = np.empty(num_states, u.dtype)
    for b in range(num_sequences):
        for d in range(width):
            states[0] = 0
            for s in range(num_steps):
                length = step[b, s, d]
                entering = length * u[b, s, d]
                for n in range(num_states):
                    decay = exp(length * A[d, n])
                    decays[s, n] = decay
                    states[s + 1, n] = decay * states[s, n] + entering * B[b, s, n]
            g_state[:] = 0
            g_A_d[:] = 0
            for later in range(num_steps):  # counted up: a range that falls takes twice the time
                s = num_steps - 1 - later
                length, x, g = step[b, s, d], u[b, s, d], g_y[b, s, d]
                entering = length * x
                g_entering = g * 0
                g_length = g * 0
                for n in range(num_states):
                    g_state_n = g_state[n] + g * C[b, s, n]
                    g_C[b, s, n] += g * states[s + 1, n]
                    g_B[b, s, n] += g_state_n * entering
                    g_entering += g_state_n * B[b, s, n]
                    g_exponent = g_state_n * decays[s, n] * states[s, n]
                    g_length += g_exponent * A[d, n]
                    g_A_d[n] += g_exponent * length
                    g_state[n] = g_state_n * decays[s, n]
                g_step[b, s, d] = g_length + g_entering * x
                g_u[b, s, d] = g_entering * length + g * D[d]
                g_D[d] += g * x
            for n in range(num_states):
                g_A[d, n] += g_A_d[n]
