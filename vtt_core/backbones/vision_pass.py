"""A hand-written forward pass of the vision tower, and a backward pass for several cotangents at once, for fast training.

`ClipVisionTower.layer_features` with autograd gives the same numbers. This pass saves work:
- the cotangents of all losses are stacked, so slopes and attention weights are computed once for all;
- gradients of frozen weights and of the first block's input are not computed;
- the last block computes only the class token;
- the backward pass ends at the first block's LoRA.

`lora_pass.py` runs the LoRA's part.

Shapes: B images, T tokens, R tokens that are read (all, or the class token alone), W tower width, H heads, E width of a head,
    L layers, K cotangents, P = 3 projections.
Source: METHOD.md, "One training step"; open_clip 3.3.0, transformer.py, `ResidualAttentionBlock`; the derivatives are
    those of layer norm, softmax and (Quick)GELU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vtt_core.backbones.activation import activate
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.frozen_linear import FrozenLinear
from vtt_core.backbones.lora_pass import LoraGradients, LoraInput, LoraTrace, add_lora, lora_backward
from vtt_core.backbones.towers import VisionTower
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.lora.stacked_lora import StackedLora

_softmax_backward = torch.ops.aten._softmax_backward_data.out
"""Derivative of a softmax, which can work in place."""


class VisionPass:
    """Forward and backward passes of one frozen vision tower of CLIP's own kind."""

    def __init__(self, tower: VisionTower, product_dtype: torch.dtype | None = None) -> None:
        """Take the tower's weights. They are copied for blocks with layer scale, and where products have a type of their own.

        Args:
            tower: frozen.
            product_dtype: of the products with frozen weights; None for the tower's own. The rest keeps the tower's.
        """
        assert isinstance(tower, ClipVisionTower), "other towers are trained with autograd"
        self._tower = tower
        self._blocks = [_Block.of(block, product_dtype) for block in tower.blocks]

    def forward(self, images_B3HW: Tensor, lora: TowerLora | StackedLora, dropout: Dropout | None) -> tuple[Tensor, Trace]:
        """Return the class token after every block and what the backward pass needs.

        Args:
            images_B3HW: preprocessed images.
            lora: that all images go through, or a stack, each for as many images as the others.
            dropout: of the LoRA's inputs; None means that all are kept.
        """
        with torch.no_grad():
            lora_input = LoraInput(lora, dropout)
            x_BTW = self._tower.embed(images_B3HW)
            class_tokens, traces = [], []
            for index, block in enumerate(self._blocks):
                num_read = 1 if index == len(self._blocks) - 1 else x_BTW.shape[1]
                x_BTW, trace = block.forward(x_BTW, num_read, index, lora_input)
                class_tokens.append(x_BTW[:, 0])
                traces.append(trace)
            return torch.stack(class_tokens, dim=1), Trace(lora_input, traces)

    def backward(self, trace: Trace, cotangents_KBLW: Tensor) -> LoraGradients:
        """Return the gradients of the LoRA; the trace is used up.

        Args:
            trace: of the forward pass.
            cotangents_KBLW: of the class token after every block, for each loss.
        """
        with torch.no_grad():
            on_lora: list[tuple[Tensor, Tensor]] = []
            gradient_KBTW: Tensor | None = None
            for index in range(len(self._blocks) - 1, -1, -1):
                of_class_KBW = cotangents_KBLW[:, :, index]
                if gradient_KBTW is None:
                    gradient_KBTW = of_class_KBW[:, :, None]
                else:
                    gradient_KBTW[:, :, 0] += of_class_KBW
                block, block_trace = self._blocks[index], trace.blocks.pop()
                gradient_KBTW, of_block = block.backward(block_trace, gradient_KBTW, index, trace.lora)
                on_lora.append(of_block)
            on_A, on_B = zip(*reversed(on_lora), strict=True)
            return LoraGradients(torch.stack(on_A, dim=1), torch.stack(on_B, dim=1))


@dataclass
class Trace:
    """What the backward pass needs from the forward pass."""

    lora: LoraInput
    blocks: list[_BlockTrace]


@dataclass
class _BlockTrace:
    x_BTW: Tensor
    mean1: Tensor
    deviation1: Tensor
    lora: list[LoraTrace]
    """For each projection."""
    q_BHRE: Tensor
    """Already scaled."""
    k_BHTE: Tensor
    v_BHTE: Tensor
    weights_BHRT: Tensor
    """Attention after softmax."""
    y_BRW: Tensor
    mean2: Tensor
    deviation2: Tensor
    slope: Tensor
    """Derivative of the activation."""


@dataclass(frozen=True)
class _Block:
    """One residual attention block's weights."""

    norm1: nn.LayerNorm
    norm2: nn.LayerNorm
    qkv: FrozenLinear
    out: FrozenLinear
    up: FrozenLinear
    down: FrozenLinear
    num_heads: int
    is_quick: bool
    """Whether the activation is QuickGELU."""

    @classmethod
    def of(cls, block: Any, product_dtype: torch.dtype | None) -> _Block:
        """Take the weights of `open_clip.transformer.ResidualAttentionBlock`."""
        attention, activation = block.attn, block.mlp.gelu
        return cls(
            norm1=block.ln_1,
            norm2=block.ln_2,
            qkv=FrozenLinear.of(attention.in_proj_weight, attention.in_proj_bias, product_dtype),
            out=FrozenLinear.of(*_with_layer_scale(attention.out_proj, block.ls_1), product_dtype),
            up=FrozenLinear.of(block.mlp.c_fc.weight, block.mlp.c_fc.bias, product_dtype),
            down=FrozenLinear.of(*_with_layer_scale(block.mlp.c_proj, block.ls_2), product_dtype),
            num_heads=attention.num_heads,
            is_quick=not isinstance(activation, nn.GELU),
        )

    def forward(self, x_BTW: Tensor, num_read: int, index: int, lora: LoraInput) -> tuple[Tensor, _BlockTrace]:
        """Return the output of the first `num_read` tokens, and the trace."""
        (_, num_tokens, width), dtype = x_BTW.shape, x_BTW.dtype
        normed_BTW, mean1, deviation1 = _norm(self.norm1, x_BTW)
        is_whole = num_read == num_tokens
        if is_whole:
            q, k, v = self.qkv.forward(normed_BTW).to(dtype).split(width, dim=-1)
        else:
            q = self.qkv.outputs(0, width).forward(normed_BTW[:, :num_read]).to(dtype)
            k, v = self.qkv.outputs(width, None).forward(normed_BTW).to(dtype).split(width, dim=-1)
        lora_trace = add_lora(lora, index, normed_BTW, (q, k, v))
        q_BHRE = _heads(q, self.num_heads).mul(self._attention_scale(width))
        k_BHTE, v_BHTE = _heads(k, self.num_heads).contiguous(), _heads(v, self.num_heads).contiguous()
        weights_BHRT = (q_BHRE @ k_BHTE.transpose(-1, -2)).softmax(dim=-1)
        read_BRW = (weights_BHRT @ v_BHTE).transpose(1, 2).flatten(2)
        y_BRW = self.out.forward(read_BRW).to(dtype).add_(x_BTW[:, :num_read])
        normed_BRW, mean2, deviation2 = _norm(self.norm2, y_BRW)
        active, slope = activate(self.up.forward(normed_BRW), is_quick=self.is_quick)
        output_BRW = self.down.forward(active).to(dtype).add_(y_BRW)
        trace = _BlockTrace(
            x_BTW, mean1, deviation1, lora_trace, q_BHRE, k_BHTE, v_BHTE, weights_BHRT, y_BRW, mean2, deviation2, slope
        )
        return output_BRW, trace

    def backward(
        self, trace: _BlockTrace, gradient_KBRW: Tensor, index: int, lora: LoraInput
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the gradient of the block's input (of the first block: anything), and the LoRA's A_KPRW and B_KPWR."""
        width, dtype = gradient_KBRW.shape[-1], gradient_KBRW.dtype
        inner = self.up.backward(self.down.backward(gradient_KBRW).mul_(trace.slope)).to(dtype)
        gradient_y_KBRW = _norm_backward(self.norm2, inner, trace.y_BRW, trace.mean2, trace.deviation2)
        gradient_y_KBRW += gradient_KBRW
        read_KBHRE = _heads(self.out.backward(gradient_y_KBRW).to(dtype), self.num_heads)
        parts = self._attention_backward(trace, read_KBHRE.contiguous(), width)
        is_first, is_whole = index == 0, gradient_KBRW.shape[2] == trace.x_BTW.shape[1]
        if is_whole:
            packed = _unheads(parts)
            q_KBRW, k_KBTW, v_KBTW = packed.split(width, dim=-1)
            normed_KBTW = gradient_KBRW if is_first else self.qkv.backward(packed).to(dtype)
        else:
            q_KBRW, packed = _unheads([part[:1] for part in parts]), _unheads([part[1:] for part in parts])
            k_KBTW, v_KBTW = packed.split(width, dim=-1)
            normed_KBTW = self.qkv.outputs(width, None).backward(packed).to(dtype)
            normed_KBTW[:, :, : q_KBRW.shape[2]] += self.qkv.outputs(0, width).backward(q_KBRW)
        projected = (q_KBRW, k_KBTW, v_KBTW)
        on_lora = lora_backward(lora, index, trace.lora, projected, None if is_first else normed_KBTW)
        if is_first:
            return normed_KBTW, on_lora
        gradient_x_KBTW = _norm_backward(self.norm1, normed_KBTW, trace.x_BTW, trace.mean1, trace.deviation1)
        gradient_x_KBTW[:, :, : gradient_y_KBRW.shape[2]] += gradient_y_KBRW
        return gradient_x_KBTW, on_lora

    def _attention_backward(self, trace: _BlockTrace, read_KBHRE: Tensor, width: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        # Per cotangent: what they share would be copied for each, if one product were for all.
        weights_BHRT, scale, parts = trace.weights_BHRT, self._attention_scale(width), []
        for read_BHRE in read_KBHRE:
            scores_BHRT = read_BHRE @ trace.v_BHTE.transpose(-1, -2)
            _softmax_backward(scores_BHRT, weights_BHRT, -1, weights_BHRT.dtype, grad_input=scores_BHRT)
            q_BHRE = (scores_BHRT @ trace.k_BHTE).mul_(scale)
            parts.append((q_BHRE, scores_BHRT.transpose(-1, -2) @ trace.q_BHRE, weights_BHRT.transpose(-1, -2) @ read_BHRE))
        return parts

    def _attention_scale(self, width: int) -> float:
        return float((width // self.num_heads) ** -0.5)


def _norm(norm: nn.LayerNorm, x_BTW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    normed: tuple[Tensor, Tensor, Tensor] = torch.native_layer_norm(
        x_BTW, norm.normalized_shape, norm.weight, norm.bias, norm.eps
    )
    return normed


def _norm_backward(norm: nn.LayerNorm, gradient_KBTW: Tensor, x_BTW: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    inputs = [
        torch.ops.aten.native_layer_norm_backward(
            gradient_BTW, x_BTW, norm.normalized_shape, mean, deviation, norm.weight, norm.bias, (True, False, False)
        )[0]
        for gradient_BTW in gradient_KBTW
    ]
    return torch.stack(inputs)


def _heads(rows: Tensor, num_heads: int) -> Tensor:
    """Turn (..., T, W) into (..., H, T, E)."""
    heads: Tensor = rows.unflatten(-1, (num_heads, -1)).transpose(-2, -3)
    return heads


def _unheads(parts: Sequence[Sequence[Tensor]]) -> Tensor:
    """Turn K times P tensors (B, H, T, E) into (K, B, T, P W)."""
    num_images, num_heads, num_tokens, head_width = parts[0][0].shape
    packed = parts[0][0].new_empty(len(parts), num_images, num_tokens, len(parts[0]), num_heads, head_width)
    for of_one, packed_BTPHE in zip(parts, packed, strict=True):
        for index, part in enumerate(of_one):
            packed_BTPHE[:, :, index].copy_(part.transpose(-2, -3))
    return packed.flatten(3)


def _with_layer_scale(linear: nn.Linear, scale: Any) -> tuple[Tensor, Tensor]:
    gamma_W = getattr(scale, "gamma", None)
    if gamma_W is None:
        return linear.weight, linear.bias
    return linear.weight * gamma_W[:, None], linear.bias * gamma_W
