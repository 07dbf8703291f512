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


@dataclass(frozen=True)
class LoraGradients:
    """Gradients of a LoRA for every cotangent; of a stack (K, L, P, E, R, W) and (K, L, P, E, W, R)."""

    A_KLPRW: Tensor
    B_KLPWR: Tensor

    @classmethod
    def zeros(cls, lora: LoraInput, num_layers: int, num_cotangents: int) -> LoraGradients:
        """Return gradients to be entered block by block."""
        A, B, _ = lora.matrices(0)
        return cls(A.new_zeros(num_cotangents, num_layers, *A.shape), B.new_zeros(num_cotangents, num_layers, *B.shape))


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
    lora: LoraInput,
    index: int,
    traces: list[LoraTrace],
    projected: tuple[Tensor, ...],
    gradients: LoraGradients,
    normed_KBTW: Tensor | None,
) -> None:
    """Enter the gradients of A and B, and add that of the LoRA's input where it is wanted."""
    A_PRW, B_PWR, scaling = lora.matrices(index)
    dropout = lora.layer_dropout(index)
    for projection, (trace, output_KBTW) in enumerate(zip(traces, projected, strict=True)):
        for cotangent, output_BTW in enumerate(output_KBTW):
            output_NW = _as_matrix(output_BTW)
            low_NR = _times(output_NW, B_PWR[projection]).mul_(scaling)
            on_A, on_B = (of_all[cotangent, index, projection] for of_all in (gradients.A_KLPRW, gradients.B_KLPWR))
            on_B.copy_(_transposed_times(output_NW, trace.low_NR, on_B.shape[:-2]).mul_(scaling))
            on_A.copy_(_transposed_times(low_NR, trace.kept_NW, on_A.shape[:-2]))
            if normed_KBTW is not None:
                rows_BTW = normed_KBTW[cotangent, :, : output_BTW.shape[1]]
                add_kept(rows_BTW, _times(low_NR, A_PRW[projection]).view(rows_BTW.shape), dropout, projection)


def _times(rows: Tensor, matrix: Tensor) -> Tensor:
    """Return the rows times the matrix. For a stack, each part of the rows has its own."""
    if matrix.ndim == 2:
        return rows @ matrix
    return torch.bmm(rows.unflatten(0, (len(matrix), -1)), matrix).flatten(0, 1)


def _add_product(total: Tensor, rows: Tensor, matrix: Tensor, scaling: float) -> None:
    """Add the rows times their matrix to the total, in place."""
    if matrix.ndim == 2:
        total.addmm_(rows, matrix, alpha=scaling)
    else:
        parts = (len(matrix), -1)
        total.unflatten(0, parts).baddbmm_(rows.unflatten(0, parts), matrix, alpha=scaling)


def _transposed_times(left: Tensor, right: Tensor, stack: Sequence[int]) -> Tensor:
    """Return the product over the rows. For a stack, there is one for each part of the rows."""
    if not stack:
        return left.t() @ right
    left, right = (rows.unflatten(0, (stack[0], -1)) for rows in (left, right))
    return torch.bmm(left.transpose(1, 2), right)


def _as_matrix(rows_BTW: Tensor) -> Tensor:
    """View one projection's columns of packed rows as a matrix (N, W)."""
    num_images, num_tokens, width = rows_BTW.shape
    return rows_BTW.as_strided((num_images * num_tokens, width), (rows_BTW.stride(1), 1))
