"""Run a tower for training, with the same results as open_clip's modules but fewer operations.

A pass is a function of named weights, so that several threads can run it in parallel (side_by_side.py). The last block computes
only the token that is needed, dropped patches are not embedded, and untrained blocks are skipped.

Shapes: B images or captions, T tokens, P patches, K kept patches, W tower width, H heads, E width of a head.
Source: open_clip 3.3.0, transformer.py, `VisionTransformer`, `TextTransformer`, `ResidualAttentionBlock`.
Differs: products are computed in a chosen precision, sums and norms in float32. On CPUs that can multiply in bfloat16, this
    takes a third of the time. Attention stays in float32 on a CPU: its backward pass in bfloat16 costs more than everything
    else together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]
BLOCKS = "transformer.resblocks."
CAPTIONS_TOGETHER = 32


@dataclass(frozen=True)
class TowerPass:
    """Constants of a tower's passes."""

    num_heads: int
    """Attention heads of a block."""
    is_causal: bool
    """Whether a token attends only to itself and earlier ones."""
    precision: torch.dtype = torch.float32
    """Of the factors of products."""

    def read_token(self, weights: Weights, hidden_BTW: Tensor, depth: int, read_B: Tensor) -> Tensor:
        """Return read_BW, the output of the first `depth` blocks for one token of each row.

        Args:
            weights: of the tower, with open_clip's names.
            hidden_BTW: input of the first block.
            depth: number of blocks to run.
            read_B: position of the token to return.
        """
        for index in range(depth - 1):
            hidden_BTW = self._block(weights, f"{BLOCKS}{index}.", hidden_BTW, hidden_BTW, None)
        rows_B = torch.arange(len(read_B), device=read_B.device)
        reading_B1W = hidden_BTW[rows_B, read_B][:, None]
        positions_T = torch.arange(hidden_BTW.shape[1], device=read_B.device)
        visible_B11T = (positions_T <= read_B[:, None])[:, None, None] if self.is_causal else None
        return self._block(weights, f"{BLOCKS}{depth - 1}.", hidden_BTW, reading_B1W, visible_B11T)[:, 0]

    def _block(
        self, weights: Weights, block: str, hidden_BTW: Tensor, reading_BRW: Tensor, visible_B11T: Tensor | None
    ) -> Tensor:
        """Return the block's output for all tokens, or for one token of each row with its mask."""
        width = hidden_BTW.shape[-1]
        normed_BTW = normalised(weights, f"{block}ln_1", hidden_BTW)
        is_whole = reading_BRW is hidden_BTW
        normed_BRW = normed_BTW if is_whole else normalised(weights, f"{block}ln_1", reading_BRW)
        weight, bias = weights[f"{block}attn.in_proj_weight"], weights[f"{block}attn.in_proj_bias"]
        query = self._linear(normed_BRW, weight[:width], bias[:width])
        key, value = self._linear(normed_BTW, weight[width:], bias[width:]).chunk(2, dim=-1)
        read_BRW = self._attention(query, key, value, visible_B11T, is_causal=self.is_causal and is_whole)
        reading_BRW = reading_BRW + self._named(weights, f"{block}attn.out_proj", read_BRW)
        inner = self._named(weights, f"{block}mlp.c_fc", normalised(weights, f"{block}ln_2", reading_BRW))
        return reading_BRW + self._named(weights, f"{block}mlp.c_proj", functional.gelu(inner))

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, *, is_causal: bool) -> Tensor:
        is_half = query.device.type == "cuda"
        query, key, value = (
            (part if is_half else part.float()).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (query, key, value)
        )
        read_BHRE = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, is_causal=is_causal)
        return read_BHRE.transpose(1, 2).flatten(2)

    def _named(self, weights: Weights, name: str, tokens: Tensor) -> Tensor:
        return self._linear(tokens, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def _linear(self, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(tokens.to(self.precision), weight.to(self.precision), bias.to(self.precision))

    def embed_patches(self, weights: Weights, pixels_B3HH: Tensor, kept_BK: Tensor) -> Tensor:
        """Return hidden_BTW of the class token and the kept patches of each image, T = K + 1.

        Args:
            weights: of the vision tower.
            pixels_B3HH: preprocessed images.
            kept_BK: indices of the kept patches, counted row by row.
        """
        kernel_W3SS = weights["conv1.weight"]
        side = kernel_W3SS.shape[-1]
        patches_BPF = functional.unfold(pixels_B3HH, side, stride=side).transpose(1, 2)
        patches_BKF = patches_BPF.gather(1, kept_BK[..., None].expand(-1, -1, patches_BPF.shape[-1]))
        kernel_WF = kernel_W3SS.flatten(1).to(self.precision)
        positions_TW = weights["positional_embedding"]
        kept_BKW = functional.linear(patches_BKF.to(self.precision), kernel_WF) + positions_TW[1 + kept_BK]
        class_W = weights["class_embedding"] + positions_TW[0]
        hidden_BTW = torch.cat((class_W.expand(len(kept_BK), 1, -1), kept_BKW), dim=1)
        return normalised(weights, "ln_pre", hidden_BTW)

    def image_features(self, weights: Weights, pixels_B3HH: Tensor, kept_BK: Tensor, depth: int) -> Tensor:
        """Return pooled_BW: the class token after the final norm, before the projection into the joint space."""
        hidden_BTW = self.embed_patches(weights, pixels_B3HH, kept_BK)
        class_B = torch.zeros(len(kept_BK), dtype=torch.int64, device=kept_BK.device)
        return normalised(weights, "ln_post", self.read_token(weights, hidden_BTW, depth, class_B))

    def text_features(self, weights: Weights, tokens_BT: Tensor, depth: int) -> Tensor:
        """Return text_BD of captions, without the padding.

        Captions run in groups, each as long as its longest caption, so sorting them by length saves time.
        """
        end_B = tokens_BT.argmax(dim=-1)
        embedded_BTW = functional.embedding(tokens_BT[:, : int(end_B.max()) + 1], weights["token_embedding.weight"])
        reads = []
        for some_BTW, some_end_B in zip(embedded_BTW.split(CAPTIONS_TOGETHER), end_B.split(CAPTIONS_TOGETHER), strict=True):
            length = int(some_end_B.max()) + 1
            hidden_BTW = some_BTW[:, :length] + weights["positional_embedding"][:length]
            reads.append(self.read_token(weights, hidden_BTW, depth, some_end_B))
        return normalised(weights, "ln_final", torch.cat(reads)) @ weights["text_projection"]


def normalised(weights: Weights, name: str, tokens: Tensor) -> Tensor:
    """Apply the layer norm with this name, in float32."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.layer_norm(tokens.float(), weight.shape, weight, bias)


def fast_precision(device: torch.device) -> torch.dtype:
    """Return the precision in which a device multiplies fastest: bfloat16 if the hardware supports it."""
    if device.type == "cuda":
        return torch.bfloat16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
