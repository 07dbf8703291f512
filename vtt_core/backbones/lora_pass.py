"""The hand-written forward and backward pass of a block's LoRA. `vision_pass.py` runs the frozen rest.

The images go through one LoRA, or through a stack of them, each with as many images as the others: then each product is a
batched one.

Shapes: B images, T tokens, W tower width, L layers, K cotangents, P = 3 projections, R rank, N = B T rows of a matrix,
    E stacked LoRAs.
Source: METHOD.md, row "LoRA".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vtt_core.lora.dropout import Dropout, LayerDropout
from vtt_core.lora.layers import TowerLora
from vtt_core.lora.numba_dropout import add_kept, keep
from vtt_core.lora.stacked_lora import StackedLora


@dataclass(frozen=True)
class LoraInput:
    """The LoRA that a batch goes through, and what is dropped before it."""

    lora: TowerLora | StackedLora
    dropout: Dropout | None

    def matrices(self, index: int) -> tuple[Tensor, Tensor, float]:
        """Return A and B of block `index`, projections first: (P, R, W) and (P, W, R), or (P, E, ...) for a stack."""
        layer = self.lora.layer(index)
        if isinstance(self.lora, StackedLora):
            return layer[0].transpose(0, 1), layer[1].transpose(0, 1), layer[2]
        return layer[0], layer[1], layer[2]

    def layer_dropout(self, index: int) -> LayerDropout | None:
        """Return the dropout of block `index`."""
        return None if self.dropout is None else self.dropout.layer(index)


class LoraGradients(NamedTuple):
    """Gradients of a LoRA for every cotangent; of a stack (K, L, P, E, R, W) and (K, L, P, E, W, R)."""

    A_KLPRW: Tensor
    B_KLPWR: Tensor


@dataclass
class LoraTrace:
    """What the backward pass of a projection needs."""

    kept_NW: Tensor
    """Input of A, after dropout."""
    low_NR: Tensor
    """Output of A."""


def add_lora(lora: LoraInput, index: int, normed_BTW: Tensor, projected: tuple[Tensor, ...]) -> list[LoraTrace]:
    """Add the LoRA's change to q, k and v."""
    A_PRW, B_PWR, scaling = lora.matrices(index)
    dropout, traces = lora.layer_dropout(index), []
    for projection, output_BTW in enumerate(projected):
        kept_NW = keep(normed_BTW[:, : output_BTW.shape[1]], dropout, projection).flatten(0, 1)
        low_NR = _times(kept_NW, A_PRW[projection].transpose(-1, -2))
        _add_product(_as_matrix(output_BTW), low_NR, B_PWR[projection].transpose(-1, -2), scaling)
        traces.append(LoraTrace(kept_NW, low_NR))
    return traces


def lora_backward(
    lora: LoraInput, index: int, traces: list[LoraTrace], projected: tuple[Tensor, ...], normed_KBTW: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients A_KPRW and B_KPWR of a block, and add that of the LoRA's input where it is wanted."""
    A_PRW, B_PWR, scaling = lora.matrices(index)
    scaled_B_PWR, dropout = B_PWR * scaling, lora.layer_dropout(index)
    on_A, on_B = [], []
    for projection, (trace, output_KBTW) in enumerate(zip(traces, projected, strict=True)):
        output_KNW = _as_matrices(output_KBTW)
        low_KNR = _times(output_KNW, scaled_B_PWR[projection])
        on_A.append(_transposed_times(low_KNR, trace.kept_NW, A_PRW.shape[1:-2]))
        on_B.append(_transposed_times(output_KNW, trace.low_NR, A_PRW.shape[1:-2]))
        if normed_KBTW is not None:
            input_KNW = _times(low_KNR, A_PRW[projection])
            add_kept(normed_KBTW[:, :, : output_KBTW.shape[2]], input_KNW.view(output_KBTW.shape), dropout, projection)
    return torch.stack(on_A, dim=1), torch.stack(on_B, dim=1).mul_(scaling)


def _times(rows: Tensor, matrix: Tensor) -> Tensor:
    """Return the rows (..., N, I) times the matrix (I, O). For a stack, each part of the N rows has its own."""
    if matrix.ndim == 2:
        return rows @ matrix
    of_parts: Tensor = rows.unflatten(-2, (len(matrix), -1))
    return (of_parts @ matrix).flatten(-3, -2)


def _add_product(total: Tensor, rows: Tensor, matrix: Tensor, scaling: float) -> None:
    """Add the rows times their matrix to the total, in place."""
    if matrix.ndim == 2:
        total.addmm_(rows, matrix, alpha=scaling)
    else:
        parts = (len(matrix), -1)
        total.unflatten(0, parts).baddbmm_(rows.unflatten(0, parts), matrix, alpha=scaling)


def _transposed_times(left_KNI: Tensor, right_NO: Tensor, stack: Sequence[int]) -> Tensor:
    """Return the products over the rows, (K, I, O). For a stack, there is one for each part of the rows."""
    if stack:
        left_KNI, right_NO = (rows.unflatten(-2, (stack[0], -1)) for rows in (left_KNI, right_NO))
    return left_KNI.transpose(-1, -2) @ right_NO


def _as_matrix(rows_BTW: Tensor) -> Tensor:
    """View one projection's columns of packed rows as a matrix (N, W)."""
    num_images, num_tokens, width = rows_BTW.shape
    return rows_BTW.as_strided((num_images * num_tokens, width), (rows_BTW.stride(1), 1))


def _as_matrices(rows_KBTW: Tensor) -> Tensor:
    """View one projection's columns of packed rows as matrices (K, N, W)."""
    num_cotangents, num_images, num_tokens, width = rows_KBTW.shape
    return rows_KBTW.as_strided((num_cotangents, num_images * num_tokens, width), (rows_KBTW.stride(0), rows_KBTW.stride(2), 1))
