"""The interface of vision towers, and the text tower of a frozen open_clip CLIP.

A layer's feature is its pooled tokens (image) or its end-of-text token (text) after the tower's *final* norm and projection.
It is not normalised. The last layer's feature is the model's own output.
The vision towers are in `clip_vision_tower.py` (CLIP's own ViT) and `timm_vision_tower.py` (SigLIP, PE-Core).

Shapes: B images or prompts, C classes, L layers, T tokens, W tower width, D joint size, H heads, V level vectors;
    deep prompts: J layers, P tokens.
Source: METHOD.md, step 1 and "Diagnostics"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors run all text positions. In a causal tower the end-of-text feature does not depend on later positions, so
    prompts are cut to the longest one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.lora.dropout import Dropout, LayerDropout
from vtt_core.lora.layers import TowerLora


class AnyLayerLora(Protocol):
    """A LoRA of one block's q, k and v."""

    def add_to(self, packed_BT3W: Tensor, x_BTW: Tensor, dropout: LayerDropout | None = None) -> Tensor:
        """Return the packed projection with the LoRA added."""


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
        is_causal: whether a token attends only to itself and earlier ones.
        lora: low-rank change of q, k and v, or None.
        dropout: of the LoRA's inputs; None for no dropout.
        num_read: number of first tokens to compute the output of; None for all. They still attend to all tokens.
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
    """Return attention_BHTT of a block without a causal mask. Row t is token t's attention to each token, and sums to 1.

    Args:
        block: as in `run_block`.
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


NUM_DEPTHS = 3
"""Depths of a tower that a `Readout` is taken from."""


class Readout(NamedTuple):
    """What a classifier reads of an image: vectors from a third, two thirds and the whole of the tower's depth."""

    levels_BVW: Tensor
    """Class token, or what the tower pools, and mean of the patches at each depth, after the tower's final norm.
    The last mean is taken where the patches enter the last block, so that this block need not compute them."""
    joint_BD: Tensor
    """The image feature: projected into the space that images and texts share, not normalised."""

    @property
    def pooled_BW(self) -> Tensor:
        """The last token or pooled vector, which the projection reads: it stands before the means of the three depths."""
        return self.levels_BVW[:, -1 - NUM_DEPTHS]


def read_depths(num_layers: int) -> tuple[int, int, int]:
    """Return the numbers of the layers, 1 first, that a `Readout` is taken from."""
    return max(1, round(num_layers / 3)), max(1, round(2 * num_layers / 3)), num_layers


class VisionTower(Protocol):
    """The vision tower of a CLIP, of any kind."""

    blocks: list[Any]
    num_layers: int
    width: int
    """Size W of tokens, and of each of q, k and v."""
    joint_size: int
    num_tokens: int
    """Of an image, including a class token if there is one."""
    num_level_vectors: int
    """Number V of the vectors of a `Readout`."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    def layer_features(
        self,
        images_B3HW: Tensor,
        lora: AnyLora | None = None,
        dropout: Dropout | None = None,
        prompts_JPW: Tensor | None = None,
    ) -> Tensor:
        """Return the feature of every layer, layer 1 first.

        Args:
            images_B3HW: preprocessed images.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs during training; None for no dropout.
            prompts_JPW: extra tokens for each of the first J blocks. Deeper blocks keep the last ones.

        Returns:
            vision_BLD, not normalised.
        """

    def layer_features_of_tokens(
        self, x_BTW: Tensor, lora: AnyLora | None = None, dropout: Dropout | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor:
        """Like `layer_features`, for the tokens that `embed` returned."""

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """Return x_BTW, the input of the first block."""

    def feature_of(self, x_BTW: Tensor) -> Tensor:
        """Return the feature (B, D) of a block's output tokens, without prompts."""

    def features(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return the image features f_BD of the last layer, not normalised."""

    def unprojected_features(self, images_B3HW: Tensor) -> Tensor:
        """Return pooled_BW of the frozen tower: the feature before the projection into the joint space."""

    def read(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Readout:
        """Return what a classifier reads of each image, in one pass; the arguments are those of `features`."""


class TextTower:
    """The text tower of a CLIP: open_clip's own, causal or not, with any kind of pooling."""

    def __init__(self, clip: Any, find_first_word: Callable[[], int] = lambda: 1) -> None:
        """Wrap the text side of an open_clip model without copying its weights.

        Args:
            clip: `open_clip.model.CLIP`, or a `CustomTextCLIP` with a `TextTransformer`.
            find_first_word: gives the position of a prompt's first word: 1 after a start-of-text token, 0 without one. Called
                when first needed: making a tokenizer takes a tenth of a second, and images need none.
        """
        text = getattr(clip, "text", clip)
        self._text = text
        self._pool: str = text.pool_type if text is not clip else text.text_pool_type
        self._end_id: int = text.eos_id if text is not clip else text.text_eos_id
        self.blocks = list(text.transformer.resblocks)
        self.num_layers = len(self.blocks)
        self.width: int = text.token_embedding.weight.shape[1]
        self.context_length: int = text.positional_embedding.shape[0]
        self._find_first_word = find_first_word
        self.is_causal: bool = text.attn_mask is not None
        """Whether a token attends only to itself and earlier ones."""

    @cached_property
    def first_word(self) -> int:
        """Position of a prompt's first word."""
        return self._find_first_word()

    def embed(self, tokens_CT: Tensor) -> Tensor:
        """Return the token embeddings, before the positional embedding."""
        embeddings_CTW: Tensor = self._text.token_embedding(tokens_CT)
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
            tokens_CT: from the tokenizer.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs during training; None for no dropout.
            block_weights: factor on what each block adds: 1 is normal, 0 removes the block, more emphasises it; None for all 1.

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
        """Like `layer_features`, for prompts given as token embeddings.

        Args:
            embeddings_CTW: token embeddings, before the positional embedding.
            end_C: position of the end-of-text token of every prompt.
            lora: low-rank layers of this tower, or None for the frozen one.
            dropout: of the LoRA's inputs during training; None for no dropout.
            prompts_JPW: for each of the first J blocks, tokens that replace the first P words. Those of the first block have no
                positional embedding yet.
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
            read_CTW, x_CTW = x_CTW, run_block(block, x_CTW, is_causal=self.is_causal, lora=block_lora, dropout=block_dropout)
            if block_weights is not None and block_weights[index] != 1:
                x_CTW = read_CTW + block_weights[index] * (x_CTW - read_CTW)
            end_tokens.append(x_CTW[rows_C, end_C])
        return self.project(torch.stack(end_tokens, dim=1))

    def _put_prompts(self, x_CTW: Tensor, index: int, prompts_JPW: Tensor | None) -> Tensor:
        """Return the input tokens of block `index`: its prompts replace the first words."""
        if prompts_JPW is None or index >= len(prompts_JPW):
            return x_CTW
        start, end = self.first_word, self.first_word + prompts_JPW.shape[1]
        prompts_CPW = prompts_JPW[index].expand(len(x_CTW), -1, -1)
        return torch.cat((x_CTW[:, :start], prompts_CPW, x_CTW[:, end:]), dim=1)

    def cut_padding(self, tokens_CT: Tensor) -> Tensor:
        """Drop the positions after the last end-of-text token, if they do not affect the features.

        A tower needs them if it is not causal, or if its feature is the last position.
        """
        if not self.is_causal or self._pool == "last":
            return tokens_CT
        return tokens_CT[:, : int(self.end_of(tokens_CT).max()) + 1]

    def end_of(self, tokens_CT: Tensor) -> Tensor:
        """Return the position (C) of the token that becomes each prompt's feature.

        It is the end-of-text token, found by its own id or as the largest one, or it is simply the last position.
        """
        if self._pool == "last":
            return torch.full((len(tokens_CT),), tokens_CT.shape[1] - 1, device=tokens_CT.device)
        return (tokens_CT if self._pool == "argmax" else (tokens_CT == self._end_id).int()).argmax(dim=-1)

    def positions(self, num_tokens: int) -> Tensor:
        """Return the positional embedding (T, W) of the first tokens."""
        positions_TW: Tensor = self._text.positional_embedding[:num_tokens]
        return positions_TW

    def project(self, end_CLW: Tensor) -> Tensor:
        """Apply the final norm and the projection to end-of-text tokens of any layer."""
        normed_CLW: Tensor = self._text.ln_final(end_CLW)
        projection = self._text.text_projection
        if projection is None:
            return normed_CLW
        text_CLD: Tensor = projection(normed_CLW) if isinstance(projection, nn.Linear) else normed_CLW @ projection
        return text_CLD
