"""Hold an adapter as serving needs it: two stacked LoRA tensors, and one matrix that reads all that is asked of an image.

Shapes: L layers, P = 3 projections (q, k, v), W tower width, R rank; O = rows of the head and of the class means, X input of
    the head, F size of all levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.adapter.answer import Answering
from vtt_core.adapter.files import Adapter
from vtt_core.contract.serving import AnswerOptions, Prediction

Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter in memory, its LoRA on the device of its backbone."""

    A_LPRW: Tensor
    B_LPWR: Tensor
    """Already scaled."""
    rows_OX: Tensor
    """The head, then the row for strangers, then the class means: one product gives all. The text tower does not run.
    On the CPU, where the few numbers that an image gives are multiplied."""
    bias_O: Tensor
    num_scores: int
    """Rows of the head."""
    has_strangers: bool
    answering: Answering
    prompts_JPW: Tensor | None = None
    """Tokens that the vision tower's first blocks read beside an image, where the adapter has them."""

    @property
    def rank(self) -> int:
        """Rows of each A."""
        return self.A_LPRW.shape[2]

    @property
    def size_bytes(self) -> int:
        """Memory of its tensors."""
        tensors = [self.A_LPRW, self.B_LPWR, self.rows_OX, self.bias_O]
        return sum(tensor.nbytes for tensor in [*tensors, *([] if self.prompts_JPW is None else [self.prompts_JPW])])

    def answer(self, phi_X: Tensor, options: AnswerOptions) -> Prediction:
        """Return the answer for one image, from what a head reads of it."""
        # Not by torch, which gives Python's lock away for every operation and then waits for it.
        rows_OX, bias_O = self.rows_OX.numpy(), self.bias_O.numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            values_O = rows_OX @ phi_X.numpy()[-rows_OX.shape[1] :] + bias_O
        first_mean = self.num_scores + self.has_strangers
        familiarity = float(values_O[first_mean:].max()) if len(values_O) > first_mean else None
        stranger = float(values_O[self.num_scores]) if self.has_strangers else None
        return self.answering.answer(values_O[: self.num_scores], familiarity, stranger, options)


def make_served(adapter: Adapter, device: torch.device, precision: Precision) -> ServedAdapter:
    """Return an adapter ready to serve.

    Args:
        adapter: read from its files.
        device: of the backbone.
        precision: of the LoRA in memory; float16 halves the memory, and rounds the LoRA to 11 bits.
    """
    dtype = getattr(torch, precision)
    with torch.no_grad():
        rows_OX, bias_O = _rows(adapter)
        return ServedAdapter(
            A_LPRW=adapter.lora.lora_A.to(device, dtype),
            B_LPWR=(adapter.lora.lora_B * adapter.lora.scaling).to(device, dtype),
            rows_OX=rows_OX,
            bias_O=bias_O,
            num_scores=len(adapter.prototypes_CD if adapter.head is None else adapter.head.bias_C),
            has_strangers=adapter.strangers is not None,
            answering=Answering.of(adapter.manifest),
            prompts_JPW=None if adapter.prompts_JPW is None else adapter.prompts_JPW.to(device, dtype),
        )


def _rows(adapter: Adapter) -> tuple[Tensor, Tensor]:
    """Return the matrix and what is added. The prototypes of an adapter without a head read the joint feature, at the end."""
    if adapter.head is None:
        weight_CD = adapter.logit_scale * adapter.prototypes_CD
        return weight_CD, weight_CD.new_zeros(len(weight_CD))
    rows, biases = [adapter.head.weight_CX], [adapter.head.bias_C]
    if adapter.strangers is not None:
        rows.append(adapter.strangers.weight_CX)
        biases.append(adapter.strangers.bias_C)
    if adapter.class_means_MF is not None:
        rows.append(adapter.class_means_MF)
        biases.append(adapter.head.bias_C.new_zeros(len(adapter.class_means_MF)))
    size = adapter.head.weight_CX.shape[1]
    return torch.cat([functional.pad(part, (0, size - part.shape[1])) for part in rows]), torch.cat(biases)
