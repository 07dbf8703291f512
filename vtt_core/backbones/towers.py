"""Run the two towers of a frozen open_clip CLIP and give every layer's projected feature.

A layer's feature is its class token (image) or end-of-text token (text) put through the tower's *final*
norm and projection, not normalised; the last layer's equals the model's own output.

Shapes: B images or prompts, C classes, L layers, T tokens, W tower width, D joint size, H heads;
    deep prompts: J layers, P tokens.
Source: METHOD.md, step 1 and "Diagnostics"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors run all text positions; a causal tower's end-of-text feature does not depend on
    what follows it, so prompts are cut after the longest one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.lora.dropout import Dropout, LayerDropout
from vtt_core.lora.layers import TowerLora


class AnyLayerLora(Protocol):
    """What changes a block's q, k and v."""

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Return the packed projection with its change."""


class AnyLora(Protocol):
    """One LoRA for a batch, or one for each of its images."""

    def layer(self, index: int) -> AnyLayerLora:
        """Return the LoRA of block `index`, 0 first."""


def run_block(
    block: Any,
    x_BTW: Tensor,
    *,
    is_causal: bool,
    lora: AnyLayerLora | None = None,
    dropout: LayerDropout | None = None,
    num_read: int | None = None,
) -> Tensor:
    """Run one residual attention block of open_clip, with a LoRA on its q, k and v.

    Args:
        block: `open_clip.transformer.ResidualAttentionBlock`.
        x_BTW: input tokens.
        is_causal: whether a token sees only itself and those before it.
        lora: low-rank change of q, k and v, or None.
        dropout: of the LoRA's inputs; None means that all are kept.
        num_read: the first tokens, whose output alone is wanted; None means all. They still see every token.
    """
    q_BHTE, k_BHTE, v_BHTE = _project_qkv(block, x_BTW, lora, dropout)
    if num_read is not None:
        assert not is_causal
        q_BHTE, x_BTW = q_BHTE[:, :, :num_read], x_BTW[:, :num_read]
    read_BHTE = functional.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, is_causal=is_causal)
    x_BTW = x_BTW + block.ls_1(block.attn.out_proj(read_BHTE.transpose(1, 2).flatten(2)))
    output_BTW: Tensor = x_BTW + block.ls_2(block.mlp(block.ln_2(x_BTW)))
    return output_BTW


def block_attention(block: Any, x_BTW: Tensor, lora: AnyLayerLora | None = None) -> Tensor:
    """Return attention_BHTT of a block in which every token sees all: row t says how much token t reads of each; it sums to 1.

    Args:
        block: as in `run_block`, which keeps no such matrix.
        x_BTW: input tokens of the block.
        lora: low-rank change of q, k and v, or None.
    """
    q_BHTE, k_BHTE, _ = _project_qkv(block, x_BTW, lora)
    products_BHTT = q_BHTE @ k_BHTE.transpose(-2, -1)
    return (products_BHTT / math.sqrt(q_BHTE.shape[-1])).softmax(dim=-1)


def _project_qkv(
    block: Any, x_BTW: Tensor, lora: AnyLayerLora | None, dropout: LayerDropout | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v of every head."""
    attention: nn.MultiheadAttention = block.attn
    normed_BTW = block.ln_1(x_BTW)
    packed_BT3W = functional.linear(normed_BTW, attention.in_proj_weight, attention.in_proj_bias)
    if lora is not None:
        packed_BT3W = lora.add_to(packed_BT3W, normed_BTW, dropout)
    q_BHTE, k_BHTE, v_BHTE = packed_BT3W.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return q_BHTE, k_BHTE, v_BHTE


class VisionTower:
    """The image half of a CLIP."""

    def __init__(self, visual: Any) -> None:
        """Wrap `open_clip.transformer.VisionTransformer`, whose weights stay where they are."""
        self._visual = visual
        self.blocks = list(visual.transformer.resblocks)
        self.num_layers = len(self.blocks)
        self.width: int = visual.class_embedding.shape[0]
        self.joint_size: int = visual.output_dim
        self.num_tokens: int = visual.positional_embedding.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._visual.proj.device
        return device

    def layer_features(
        self,
        images_B3HW: Tensor,
        lora: AnyLora | None = None,
        dropout: Dropout | None = None,
        prompts_JPW: Tensor | None = None,
    ) -> Tensor:
        """Return the projected class token after every block, layer 1 first.

        Args:
            images_B3HW: preprocessed images.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs while training; None means that all are kept.
            prompts_JPW: tokens that the first J blocks read beside the image's own; each block has its own.

        Returns:
            vision_BLD, not normalised.
        """
        return self.layer_features_of_tokens(self.embed(images_B3HW), lora, dropout, prompts_JPW)

    def layer_features_of_tokens(
        self, x_BTW: Tensor, lora: AnyLora | None = None, dropout: Dropout | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor:
        """Do the same for images that `embed` has turned into tokens."""
        class_tokens = []
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            block_lora = lora.layer(index) if lora is not None else None
            block_dropout = dropout.layer(index) if dropout is not None else None
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora, dropout=block_dropout)
            class_tokens.append(x_BTW[:, 0])
        return self.project(torch.stack(class_tokens, dim=1))

    def _put_prompts(self, x_BTW: Tensor, index: int, prompts_JPW: Tensor | None) -> Tensor:
        """Return the tokens that block `index` reads: the image's own, then the prompts of this depth.

        What enters the first block is normalised, prompts too; deeper ones take the places of those before.
        """
        if prompts_JPW is None or index >= len(prompts_JPW):
            return x_BTW
        prompts_PW = self._visual.ln_pre(prompts_JPW[0]) if index == 0 else prompts_JPW[index]
        return torch.cat((x_BTW[:, : self.num_tokens], prompts_PW.expand(len(x_BTW), -1, -1)), dim=1)

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """Return x_BTW, what enters the first block: the class token and the patches, with positions, normalised."""
        x_BTW: Tensor = self._visual._embeds(images_B3HW)
        return x_BTW

    def project(self, class_BLW: Tensor) -> Tensor:
        """Put class tokens of any layer through the final norm and projection."""
        vision_BLD: Tensor = self._visual.ln_post(class_BLW) @ self._visual.proj
        return vision_BLD

    def features(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return the image features f_BD: the last layer's, not normalised; of its block only the class token is computed."""
        x_BTW = self.embed(images_B3HW)
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            is_last = index == self.num_layers - 1
            block_lora = lora.layer(index) if lora is not None else None
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora, num_read=1 if is_last else None)
        return self.project(x_BTW[:, 0])

    def unprojected_features(self, images_B3HW: Tensor) -> Tensor:
        """Return pooled_BW of the frozen tower: what the projection into the joint space would read."""
        x_BTW = self.embed(images_B3HW)
        for block in self.blocks:
            x_BTW = run_block(block, x_BTW, is_causal=False)
        pooled_BW: Tensor = self._visual.ln_post(x_BTW[:, 0])
        return pooled_BW

    def layer_attention(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return attention_BLTT of every block, the mean over its heads: class token, patches by rows, then prompts."""
        x_BTW, layers = self.embed(images_B3HW), []
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            block_lora = lora.layer(index) if lora is not None else None
            layers.append(block_attention(block, x_BTW, block_lora).mean(dim=1))
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora)
        return torch.stack(layers, dim=1)


class TextTower:
    """The text half of a CLIP."""

    def __init__(self, clip: Any) -> None:
        """Wrap the text side of `open_clip.model.CLIP`, whose weights stay where they are."""
        self._clip = clip
        self.blocks = list(clip.transformer.resblocks)
        self.num_layers = len(self.blocks)
        self.width: int = clip.token_embedding.weight.shape[1]
        self.context_length: int = clip.positional_embedding.shape[0]
        self.first_word = 1
        """Position of a prompt's first word, after start-of-text."""
        self.is_causal = True
        """Whether a token sees only itself and those before it."""

    def embed(self, tokens_CT: Tensor) -> Tensor:
        """Return the token embeddings, before the positional embedding."""
        embeddings_CTW: Tensor = self._clip.token_embedding(tokens_CT)
        return embeddings_CTW

    def layer_features(
        self,
        tokens_CT: Tensor,
        lora: TowerLora | None = None,
        dropout: Dropout | None = None,
        block_weights: Sequence[float] | None = None,
    ) -> Tensor:
        """Return the projected end-of-text token of every prompt after every block, layer 1 first.

        Args:
            tokens_CT: what the tokenizer gave.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs while training; None means that all are kept.
            block_weights: factor on what each block adds: 1 leaves it as it is, 0 removes it, more emphasises it; None means
                1 for all.

        Returns:
            text_CLD, not normalised.
        """
        tokens_CT = self.cut_padding(tokens_CT)
        embeddings_CTW, end_C = self.embed(tokens_CT), self.end_of(tokens_CT)
        return self.layer_features_of_embeddings(embeddings_CTW, end_C, lora, dropout, block_weights=block_weights)

    def layer_features_of_embeddings(
        self,
        embeddings_CTW: Tensor,
        end_C: Tensor,
        lora: TowerLora | None = None,
        dropout: Dropout | None = None,
        prompts_JPW: Tensor | None = None,
        block_weights: Sequence[float] | None = None,
    ) -> Tensor:
        """Do the same for prompts that are given as token embeddings.

        Args:
            embeddings_CTW: token embeddings, before the positional embedding.
            end_C: position of the end-of-text token of every prompt.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs while training; None means that all are kept.
            prompts_JPW: tokens that the first J blocks read in the places of the first P words; each block has its own. The
                first block's stand before the positional embedding.
            block_weights: as in `layer_features`.
        """
        x_CTW = self._put_prompts(embeddings_CTW, 0, prompts_JPW) + self.positions(embeddings_CTW.shape[1])
        rows_C = torch.arange(len(x_CTW), device=x_CTW.device)
        end_tokens = []
        for index, block in enumerate(self.blocks):
            if index > 0:
                x_CTW = self._put_prompts(x_CTW, index, prompts_JPW)
            block_lora = lora.layer(index) if lora is not None else None
            block_dropout = dropout.layer(index) if dropout is not None else None
            read_CTW, x_CTW = x_CTW, run_block(block, x_CTW, is_causal=True, lora=block_lora, dropout=block_dropout)
            if block_weights is not None and block_weights[index] != 1:
                x_CTW = read_CTW + block_weights[index] * (x_CTW - read_CTW)
            end_tokens.append(x_CTW[rows_C, end_C])
        return self.project(torch.stack(end_tokens, dim=1))

    def _put_prompts(self, x_CTW: Tensor, index: int, prompts_JPW: Tensor | None) -> Tensor:
        """Return the tokens that block `index` reads: prompts of this depth in the places of the first words."""
        if prompts_JPW is None or index >= len(prompts_JPW):
            return x_CTW
        start, end = self.first_word, self.first_word + prompts_JPW.shape[1]
        prompts_CPW = prompts_JPW[index].expand(len(x_CTW), -1, -1)
        return torch.cat((x_CTW[:, :start], prompts_CPW, x_CTW[:, end:]), dim=1)

    def cut_padding(self, tokens_CT: Tensor) -> Tensor:
        """Drop the positions after the last end-of-text token: nothing before them sees them."""
        return tokens_CT[:, : int(self.end_of(tokens_CT).max()) + 1]

    def end_of(self, tokens_CT: Tensor) -> Tensor:
        """Return the position (C) of every prompt's end-of-text token, which has the largest id."""
        return tokens_CT.argmax(dim=-1)

    def positions(self, num_tokens: int) -> Tensor:
        """Return the positional embedding (T, W) of the first tokens."""
        positions_TW: Tensor = self._clip.positional_embedding[:num_tokens]
        return positions_TW

    def project(self, end_CLW: Tensor) -> Tensor:
        """Put end-of-text tokens of any layer through the final norm and projection."""
        text_CLD: Tensor = self._clip.ln_final(end_CLW) @ self._clip.text_projection
        return text_CLD
