"""Run a timm vision transformer (SigLIP's ViT, PE-Core's Eva with rotary positions) and return every layer's pooled feature.

timm's blocks run unchanged. A hook on each block's `attn.qkv` adds the LoRA to q, k and v. It is registered once, and does
nothing unless the current thread has set a LoRA. So several threads can run one tower with different LoRAs.

Shapes: B images, L layers, T tokens, W tower width, D joint size, E width of a head; deep prompts: J layers, P tokens.
Source: METHOD.md, "Backbones"; timm 1.0.31, vision_transformer.py and eva.py.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.backbones.towers import NUM_DEPTHS, AnyLayerLora, AnyLora, Readout, read_depths
from vtt_core.lora.dropout import Dropout, LayerDropout


class _Active(NamedTuple):
    """The LoRA of the block that this thread is running."""

    lora: AnyLayerLora
    dropout: LayerDropout | None


class _ActiveOfThread(threading.local):
    value: _Active | None = None


_ACTIVE = _ActiveOfThread()


def _add_active_lora(_qkv: nn.Module, inputs: tuple[Tensor, ...], packed_BT3W: Tensor) -> Tensor | None:
    active = _ACTIVE.value
    return None if active is None else active.lora.add_to(packed_BT3W, inputs[0], active.dropout)


class TimmVisionTower:
    """The vision tower of a CLIP that is a timm model. Its feature may be pooled from all tokens."""

    def __init__(self, visual: Any) -> None:
        """Wrap `open_clip.timm_model.TimmModel` without copying its weights, and register the hooks."""
        self._head, self._trunk = visual.head, visual.trunk
        self.blocks = list(self._trunk.blocks)
        self.num_layers = len(self.blocks)
        self.width: int = self._trunk.embed_dim
        self.num_tokens: int = self._trunk.patch_embed.num_patches + self._trunk.num_prefix_tokens
        self.num_level_vectors = NUM_DEPTHS + 1 + (NUM_DEPTHS - 1 if self._trunk.num_prefix_tokens else 0)
        for block in self.blocks:
            # A copied model already has the hooks.
            if _add_active_lora not in block.attn.qkv._forward_hooks.values():
                block.attn.qkv.register_forward_hook(_add_active_lora)
        with torch.no_grad():
            self.joint_size: int = self.feature_of(self._weight.new_zeros(1, self.num_tokens, self.width)).shape[-1]

    @property
    def _weight(self) -> Tensor:
        weight: Tensor = self.blocks[0].attn.qkv.weight
        return weight

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._weight.device

    def embed(self, images_B3HW: Tensor) -> Tensor:
        """Return x_BTW, the input of the first block: patches, and a class token if there is one, with positions."""
        embedded = self._trunk._pos_embed(self._trunk.patch_embed(images_B3HW))
        x_BTW: Tensor = embedded[0] if isinstance(embedded, tuple) else embedded  # Eva returns rotary positions too
        return self._normed(x_BTW)

    def layer_features(
        self,
        images_B3HW: Tensor,
        lora: AnyLora | None = None,
        dropout: Dropout | None = None,
        prompts_JPW: Tensor | None = None,
    ) -> Tensor:
        """Return the feature of every layer, layer 1 first; see `VisionTower`."""
        return self.layer_features_of_tokens(self.embed(images_B3HW), lora, dropout, prompts_JPW)

    def layer_features_of_tokens(
        self, x_BTW: Tensor, lora: AnyLora | None = None, dropout: Dropout | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor:
        """Like `layer_features`, for the tokens that `embed` returned."""
        layers = []
        for index in range(self.num_layers):
            x_BTW = self._run_block(index, x_BTW, lora, dropout, prompts_JPW)
            layers.append(self.feature_of(x_BTW))
        return torch.stack(layers, dim=1)

    def features(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        """Return the image features f_BD of the last layer, not normalised."""
        return self.feature_of(self._last_tokens(images_B3HW, lora, prompts_JPW))

    def unprojected_features(self, images_B3HW: Tensor) -> Tensor:
        """Return pooled_BW of the frozen tower: the input of the projection. For SigLIP, which has none, it is the feature."""
        return self._pool(self._last_tokens(images_B3HW))

    def read(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Readout:
        """Return what a classifier reads of each image: what is pooled at the end, and the tokens on the way there."""
        x_BTW, depths = self.embed(images_B3HW), read_depths(self.num_layers)
        num_prefix = self._trunk.num_prefix_tokens
        tokens, means = [], []
        for index in range(self.num_layers):
            if index == self.num_layers - 1:
                means.append(self._mean_of_patches(x_BTW))
            x_BTW = self._run_block(index, x_BTW, lora, None, prompts_JPW)
            if index + 1 in depths[:-1]:
                means.append(self._mean_of_patches(x_BTW))
                if num_prefix:
                    tokens.append(self._trunk.norm(x_BTW[:, 0]))
        pooled_BW = self._pool(x_BTW)
        joint_BD: Tensor = self._head(self._trunk.head(pooled_BW))
        return Readout(torch.stack([*tokens, pooled_BW, *means], dim=1), joint_BD)

    def _mean_of_patches(self, x_BTW: Tensor) -> Tensor:
        mean_BW: Tensor = self._trunk.norm(x_BTW[:, self._trunk.num_prefix_tokens : self.num_tokens].mean(dim=1))
        return mean_BW

    def feature_of(self, x_BTW: Tensor) -> Tensor:
        """Return the feature (B, D) of a block's output tokens, without prompts."""
        vision_BD: Tensor = self._head(self._trunk.head(self._pool(x_BTW)))
        return vision_BD

    def pool_attention(
        self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None
    ) -> Tensor | None:
        """Return attention_BT: the pooling's attention to each token of an image, averaged over its heads. It sums to 1.

        A tower that pools without attention returns None.
        """
        pool: Any = self._trunk.attn_pool
        if pool is None:
            return None
        read_BTW = self._trunk.norm(self._last_tokens(images_B3HW, lora, prompts_JPW)[:, : self.num_tokens])
        num_unread = 0 if getattr(self._trunk, "pool_include_prefix", True) else self._trunk.num_prefix_tokens
        read_BTW = read_BTW[:, num_unread:]
        placed_BTW = read_BTW if pool.pos_embed is None else read_BTW + pool.pos_embed
        heads = (pool.num_heads, pool.head_dim)
        q_1HQE = pool.q_norm(pool.q(pool.latent).unflatten(-1, heads).transpose(1, 2))
        k_BHTE = pool.k_norm(pool.kv(placed_BTW).unflatten(-1, (2, *heads))[:, :, 0].transpose(1, 2))
        shares_BHQT = (q_1HQE @ k_BHTE.transpose(-2, -1) * pool.scale).softmax(dim=-1)
        # With several latent tokens, the feature is the first or their mean.
        shares_BQT = shares_BHQT.mean(dim=1)[:, : 1 if pool.pool == "token" else None]
        return functional.pad(shares_BQT.mean(dim=1), (num_unread, 0))

    def _pool(self, x_BTW: Tensor) -> Tensor:
        pooled_BW: Tensor = self._trunk.forward_head(self._trunk.norm(x_BTW[:, : self.num_tokens]), pre_logits=True)
        return pooled_BW

    def _last_tokens(self, images_B3HW: Tensor, lora: AnyLora | None = None, prompts_JPW: Tensor | None = None) -> Tensor:
        x_BTW = self.embed(images_B3HW)
        for index in range(self.num_layers):
            x_BTW = self._run_block(index, x_BTW, lora, None, prompts_JPW)
        return x_BTW

    def _run_block(
        self, index: int, x_BTW: Tensor, lora: AnyLora | None, dropout: Dropout | None, prompts_JPW: Tensor | None
    ) -> Tensor:
        """Return the output tokens of block `index`, which also reads its own prompts."""
        x_BTW = self._put_prompts(x_BTW, index, prompts_JPW)
        options = self._rotations(x_BTW.shape[1] - self.num_tokens)
        block_dropout = dropout.layer(index) if dropout is not None else None
        _ACTIVE.value = _Active(lora.layer(index), block_dropout) if lora is not None else None
        try:
            x_BTW = self.blocks[index](x_BTW, **options)
        finally:
            _ACTIVE.value = None
        return x_BTW

    def _put_prompts(self, x_BTW: Tensor, index: int, prompts_JPW: Tensor | None) -> Tensor:
        """Return the input tokens of block `index`: the image's own, then this block's prompts.

        The input of the first block is normalised, prompts included. Deeper prompts replace the ones before.
        """
        if prompts_JPW is None or index >= len(prompts_JPW):
            return x_BTW
        prompts_PW = self._normed(prompts_JPW[0]) if index == 0 else prompts_JPW[index]
        return torch.cat((x_BTW[:, : self.num_tokens], prompts_PW.expand(x_BTW.shape[0], -1, -1)), dim=1)

    def _normed(self, x_TW: Tensor) -> Tensor:
        normed_TW: Tensor = self._trunk.norm_pre(x_TW)
        return normed_TW

    def _rotations(self, num_prompts: int) -> dict[str, Tensor]:
        """Return the rotary positions that an Eva block takes, or nothing for a ViT. Prompts are not rotated."""
        rope = getattr(self._trunk, "rope", None)
        if rope is None:
            return {}
        shape = {} if hasattr(rope, "feat_shape") else {"shape": self._trunk.patch_embed.grid_size}
        rotations: Tensor = rope.get_embed(**shape)
        if num_prompts == 0:
            return {"rope": rotations}
        sines_TE, cosines_TE = rotations.chunk(2, dim=-1)
        below = (0, 0, 0, num_prompts)
        return {"rope": torch.cat((functional.pad(sines_TE, below), functional.pad(cosines_TE, below, value=1.0)), dim=-1)}
