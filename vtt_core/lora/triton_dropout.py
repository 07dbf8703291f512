"""Apply a layer's dropout in one kernel: the same numbers as `LayerDropout.apply`, on a GPU.

Shapes: B images, T tokens, W tower width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtt_core.kernels.triton_kernels import blocks, kernel, tl
from vtt_core.lora.dropout import LayerDropout

BLOCK = 1024
"""Numbers that one program takes."""


def triton_keep(x_BTW: Tensor, dropout: LayerDropout, projection: int) -> Tensor:
    """Return the inputs that a projection keeps, scaled, and zeros; the arguments are those of `LayerDropout.apply`."""
    x_BTW = x_BTW.contiguous()
    kept_BTW = torch.empty_like(x_BTW)
    _launch(x_BTW, kept_BTW, kept_BTW, dropout, projection, is_added=False)
    return kept_BTW


def triton_add_kept(total_BTW: Tensor, gradient_BTW: Tensor, dropout: LayerDropout, projection: int) -> None:
    """Add to the total, whose rows may lie apart, the gradient of what was kept, scaled."""
    _launch(gradient_BTW.contiguous(), total_BTW, total_BTW, dropout, projection, is_added=True)


def _launch(
    x_BTW: Tensor, before_BTW: Tensor, after_BTW: Tensor, dropout: LayerDropout, projection: int, *, is_added: bool
) -> None:
    drawn_BTW = dropout.bytes_PBTW[projection, :, : x_BTW.shape[1]]
    num_tokens, width = x_BTW.shape[1:]
    _keep[blocks(x_BTW.numel(), BLOCK)](
        x_BTW,
        before_BTW,
        after_BTW,
        drawn_BTW,
        x_BTW.numel(),
        num_tokens * width,
        width,
        after_BTW.stride(0),
        after_BTW.stride(1),
        drawn_BTW.stride(0),
        dropout.num_dropped,
        SCALE=dropout.scale,
        IS_ADDED=is_added,
        BLOCK=BLOCK,
    )


@kernel
def _keep(  # type: ignore[no-untyped-def]
    x,
    before,
    after,
    drawn,
    num_numbers,
    image_size,
    width,
    image_stride,
    token_stride,
    drawn_stride,
    num_dropped,
    SCALE: tl.constexpr,
    IS_ADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    is_number = index < num_numbers
    image, within = index // image_size, index % image_size
    target = image * image_stride + (within // width) * token_stride + within % width
    byte = tl.load(drawn + image * drawn_stride + within, is_number, 0)
    number = tl.load(x + index, is_number, 0.0)
    result = tl.where(byte.to(tl.int32) >= num_dropped, number * SCALE, 0.0).to(number.dtype)
    if IS_ADDED:
        result += tl.load(before + target, is_number, 0.0)
    tl.store(after + target, result, is_number)
