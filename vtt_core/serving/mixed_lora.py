"""Apply to each image of a batch the LoRA of its own adapter, in one pass of the tower.

If all images have one adapter, A and B are one product each. Otherwise a copy of A and B is gathered for each image, for one
batched product. Gathering moves a few megabytes a layer, a hundredth of what the layer's own products move. Grouping images by
adapter, or merging into the frozen weights, was measured and is slower (docs/performance.md).

Shapes: B images, T tokens, L layers, P = 3 projections (q, k, v), W tower width, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.lora.dropout import LayerDropout
from vtt_core.serving.served import ServedAdapter


@dataclass(frozen=True)
class SharedLayer:
    """One LoRA for every image."""

    A_PRW: Tensor
    B_PWR: Tensor

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Add the change of q, k and v in place; serving drops nothing."""
        num_projections, rank, width = self.A_PRW.shape
        low = functional.linear(x_BTW, self.A_PRW.flatten(0, 1)).flatten(0, 1)
        packed = packed_BT3W.flatten(0, 1)
        for index in range(num_projections):
            columns, ranks = slice(index * width, (index + 1) * width), slice(index * rank, (index + 1) * rank)
            packed[:, columns].addmm_(low[:, ranks], self.B_PWR[index].t())
        return packed_BT3W


@dataclass(frozen=True)
class GatheredLayer:
    """A LoRA for each image."""

    A_BPRW: Tensor
    B_BPWR: Tensor

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Add the change of q, k and v in place; serving drops nothing."""
        num_projections, rank, width = self.A_BPRW.shape[1:]
        low_BTR = torch.bmm(x_BTW, self.A_BPRW.flatten(1, 2).transpose(1, 2))
        for index in range(num_projections):
            columns, ranks = slice(index * width, (index + 1) * width), slice(index * rank, (index + 1) * rank)
            packed_BT3W[:, :, columns].baddbmm_(low_BTR[:, :, ranks], self.B_BPWR[:, index].transpose(1, 2))
        return packed_BT3W


@dataclass(frozen=True)
class StackedLoras:
    """The LoRAs of a batch as two tensors, all blocks gathered at once."""

    A: Tensor
    """A_LPRW of the one LoRA of all images, or A_BLPRW."""
    B: Tensor
    """B_LPWR or B_BLPWR, already scaled."""

    @property
    def is_shared(self) -> bool:
        """Whether all images have one LoRA."""
        return self.A.ndim == len("LPRW")

    def layer(self, index: int) -> SharedLayer | GatheredLayer:
        """Return the LoRAs of block `index`, 0 first."""
        if self.is_shared:
            return SharedLayer(self.A[index], self.B[index])
        return GatheredLayer(self.A[:, index], self.B[:, index])


class MixedLora:
    """The LoRAs of a batch, in the place of a `TowerLora`."""

    def __init__(self, adapters: Sequence[ServedAdapter], dtype: torch.dtype) -> None:
        """Remember whose LoRA each image wants.

        Args:
            adapters: of every image of the batch.
            dtype: of the tower.
        """
        self._adapters = adapters
        self._dtype = dtype
        self._rank = max(adapter.rank for adapter in adapters)
        self._is_shared = all(adapter is adapters[0] for adapter in adapters)

    def layer(self, index: int) -> SharedLayer | GatheredLayer:
        """Return the LoRAs of block `index`, 0 first."""
        if self._is_shared:
            adapter = self._adapters[0]
            return SharedLayer(adapter.A_LPRW[index].to(self._dtype), adapter.B_LPWR[index].to(self._dtype))
        A_BPRW = torch.stack([self._padded_A(adapter.A_LPRW[index]) for adapter in self._adapters])
        B_BPWR = torch.stack([self._padded_B(adapter.B_LPWR[index]) for adapter in self._adapters])
        return GatheredLayer(A_BPRW.to(self._dtype), B_BPWR.to(self._dtype))

    @property
    def stacked_bytes(self) -> int:
        """Memory that `stacked` gathers: none where all images have one LoRA."""
        if self._is_shared:
            return 0
        num_layers, num_projections, _, width = self._adapters[0].A_LPRW.shape
        of_one = 2 * num_layers * num_projections * self._rank * width * self._dtype.itemsize
        return len(self._adapters) * of_one

    def stacked(self) -> StackedLoras:
        """Return the LoRAs of all blocks at once."""
        if self._is_shared:
            adapter = self._adapters[0]
            return StackedLoras(adapter.A_LPRW.to(self._dtype), adapter.B_LPWR.to(self._dtype))
        A_BLPRW = torch.stack([self._padded_A(adapter.A_LPRW) for adapter in self._adapters])
        B_BLPWR = torch.stack([self._padded_B(adapter.B_LPWR) for adapter in self._adapters])
        return StackedLoras(A_BLPRW.to(self._dtype), B_BLPWR.to(self._dtype))

    def _padded_A(self, A: Tensor) -> Tensor:
        """Return matrices (..., R, W) with rows of zeros up to the largest rank of the batch."""
        missing = self._rank - A.shape[-2]
        return functional.pad(A, (0, 0, 0, missing)) if missing else A

    def _padded_B(self, B: Tensor) -> Tensor:
        """Return matrices (..., W, R) with columns of zeros up to the largest rank of the batch."""
        missing = self._rank - B.shape[-1]
        return functional.pad(B, (0, missing)) if missing else B
