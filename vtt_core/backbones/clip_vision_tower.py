"""Run CLIP's own vision transformer and return every layer's projected class token.

Shapes: B images, L layers, T tokens, W tower width, D joint size; deep prompts: J layers, P tokens.
Source: METHOD.md, step 1; open_clip 3.3.0, transformer.py, `VisionTransformer`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vtt_core.backbones.towers import NUM_DEPTHS, AnyLora, Readout, block_attention, read_depths, run_block
from vtt_core.lora.dropout import Dropout


class ClipVisionTower:
    """The vision tower of a CLIP whose image feature is its class token."""

    def __init__(self, visual: Any) -> None:
        """Wrap `open_clip.transformer.VisionTransformer` without copying its weights."""
        self._visual = visual
        self.blocks = list(visual.transformer.resblocks)
        self.num_layers = len(self.blocks)
        self.width: int = visual.class_embedding.shape[0]
        self.joint_size: int = visual.output_dim
        self.num_tokens: int = visual.positional_embedding.shape[0]
        self.num_level_vectors = 2 * NUM_DEPTHS

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
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
            dropout: of the LoRA's inputs during training; None for no dropout.
            prompts_JPW: extra tokens for each of the first J blocks.

        Returns:
            vision_BLD, not normalised.
        """
        return self.layer_features_of_tokens(self.embed(images_B3HW), lora, dropout, prompts_JPW)

    def layer_features_of_tokens(
        self, x_BTW: Tensor, lora: AnyLora | None = None, dropout: Dropout | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor:
        """Like `layer_features`, for the tokens that `embed` returned."""
        class_tokens = []
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            block_lora = lora.layer(index) if lora is not None else None
            block_dropout = dropout.layer(index) if dropout is not None else None
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora, dropout=block_dropout)
            class_tokens.append(x_BTW[:, 0])
        return self.project(torch.stack(class_tokens, dim=1))

    def _put_prompts(self, x_BTW: Tensor, index: int, prompts_JPW: Tensor | None) -> Tensor:
        """Return the input tokens of block `index`: the image's own, then this block's prompts.

        The input of the first block is normalised, prompts included. Deeper prompts replace the ones before.
        """
        if prompts_JPW is None or index >= len(prompts_JPW):
            return x_BTW
        prompts_PW = self._visual.ln_pre(prompts_JPW[0]) if index == 0 else prompts_JPW[index]
        return torch.cat((x_BTW[:, : self.num_tokens], prompts_PW.expand(x_BTW.shape[0], -1, -1)), dim=1)

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """Return x_BTW, the input of the first block: class token and patches with positions, normalised."""
        x_BTW: Tensor = self._visual._embeds(images_B3HW)
        return x_BTW

    def feature_of(self, x_BTW: Tensor) -> Tensor:
        """Return the feature (B, D) of a block's output tokens."""
        return self.project(x_BTW[:, 0])

    def project(self, class_BLW: Tensor) -> Tensor:
        """Apply the final norm and the projection to class tokens of any layer."""
        vision_BLD: Tensor = self._visual.ln_post(class_BLW) @ self._visual.proj
        return vision_BLD

    def features(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return the image features f_BD of the last layer, not normalised. Its block computes only the class token."""
        return self.read(images_B3HW, lora, prompts_JPW).joint_BD

    def read(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Readout:
        """Return what a classifier reads of each image. The last block computes only the class token."""
        x_BTW, depths = self.embed(images_B3HW), read_depths(self.num_layers)
        tokens, means = [], []
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            is_last = index == self.num_layers - 1
            if is_last:
                means.append(x_BTW[:, 1 : self.num_tokens].mean(dim=1))
            block_lora = lora.layer(index) if lora is not None else None
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora, num_read=1 if is_last else None)
            if index + 1 in depths:
                tokens.append(x_BTW[:, 0])
                if not is_last:
                    means.append(x_BTW[:, 1 : self.num_tokens].mean(dim=1))
        levels_BVW: Tensor = self._visual.ln_post(torch.stack([*tokens, *means], dim=1))
        return Readout(levels_BVW, levels_BVW[:, len(tokens) - 1] @ self._visual.proj)

    def unprojected_features(self, images_B3HW: Tensor) -> Tensor:
        """Return pooled_BW of the frozen tower: the input of the projection into the joint space."""
        x_BTW = self.embed(images_B3HW)
        for block in self.blocks:
            x_BTW = run_block(block, x_BTW, is_causal=False)
        pooled_BW: Tensor = self._visual.ln_post(x_BTW[:, 0])
        return pooled_BW

    def layer_attention(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return attention_BLTT of every block, averaged over its heads: class token, patches by rows, then prompts."""
        x_BTW, layers = self.embed(images_B3HW), []
        for index, block in enumerate(self.blocks):
            x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
            block_lora = lora.layer(index) if lora is not None else None
            layers.append(block_attention(block, x_BTW, block_lora).mean(dim=1))
            x_BTW = run_block(block, x_BTW, is_causal=False, lora=block_lora)
        return torch.stack(layers, dim=1)
