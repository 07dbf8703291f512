"""Let the frozen text tower absorb fused vectors without reading the start of the prompt again: the same numbers as `absorb`.

The prompt's tokens before the placeholder are the same for every image and step, and a causal tower's tokens do not see what
follows them. Their keys and values are computed once; what is left to run is the placeholder and what follows, three
tokens for `a photo of a x.`, and in the last block the end-of-text token alone.

Shapes: B images, P tokens before the placeholder, S tokens from the placeholder on, W text width, H heads, E width of a head,
    D joint size (equal to W).
Source: METHOD.md, row "prompt".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import AbsorptionPrompt
from vtt_core.backbones.towers import TextTower, run_block


class _Past(NamedTuple):
    """What a block's later tokens see of the prefix."""

    k_HPE: Tensor
    v_HPE: Tensor


class CachedPrompt:
    """The absorption prompt, its prefix already read."""

    def __init__(self, text_tower: TextTower, prompt: AbsorptionPrompt) -> None:
        """Read the prefix.

        Args:
            text_tower: frozen and causal.
            prompt: where the placeholder is; something stands before it, start-of-text at least.
        """
        assert text_tower.is_causal, "what another tower makes of the prefix depends on what follows it"
        self._tower = text_tower
        start = prompt.placeholder_index
        with torch.no_grad():
            embedded_1TW = text_tower.embed(prompt.tokens_T[None])
            self._following_1FW = embedded_1TW[:, start + 1 :]
            self._positions_SW = text_tower.positions(len(prompt.tokens_T))[start:]
            self._past = _read_prefix(text_tower, embedded_1TW[:, :start])
            seen_ST = torch.ones(len(self._positions_SW), len(prompt.tokens_T), dtype=torch.bool, device=embedded_1TW.device)
            self._seen_ST = seen_ST.tril(diagonal=start)

    def absorb(self, fused_BD: Tensor) -> Tensor:
        """Return the text feature A'_i of the prompt with each fused vector in the placeholder's place, not normalised."""
        following_BFW = self._following_1FW.expand(len(fused_BD), -1, -1)
        x_BSW = torch.cat((fused_BD[:, None], following_BFW), dim=1) + self._positions_SW
        blocks = self._tower.blocks
        for block, past in zip(blocks[:-1], self._past[:-1], strict=True):
            x_BSW = _run_suffix(block, x_BSW, past, self._seen_ST)
        end_BW = _run_suffix(blocks[-1], x_BSW, self._past[-1], self._seen_ST[-1:])[:, 0]
        return self._tower.project(end_BW)


def _read_prefix(text_tower: TextTower, embedded_1PW: Tensor) -> list[_Past]:
    x_1PW = embedded_1PW + text_tower.positions(embedded_1PW.shape[1])
    pasts = []
    for block in text_tower.blocks:
        _, k_1HPE, v_1HPE = _project(block, x_1PW)
        pasts.append(_Past(k_1HPE[0].contiguous(), v_1HPE[0].contiguous()))
        x_1PW = run_block(block, x_1PW, is_causal=True)
    return pasts


def _run_suffix(block: Any, x_BSW: Tensor, past: _Past, seen_RT: Tensor) -> Tensor:
    """Run one block on the later tokens; the last R of them, the rows of the mask, come out."""
    num_read = len(seen_RT)
    q_BHSE, k_BHSE, v_BHSE = _project(block, x_BSW)
    k_BHTE, v_BHTE = (
        torch.cat((before.expand(len(x_BSW), -1, -1, -1), after), dim=2)
        for before, after in zip(past, (k_BHSE, v_BHSE), strict=True)
    )
    read_BHRE = functional.scaled_dot_product_attention(q_BHSE[:, :, -num_read:], k_BHTE, v_BHTE, attn_mask=seen_RT)
    x_BRW = x_BSW[:, -num_read:] + block.ls_1(block.attn.out_proj(read_BHRE.transpose(1, 2).flatten(2)))
    output_BRW: Tensor = x_BRW + block.ls_2(block.mlp(block.ln_2(x_BRW)))
    return output_BRW


def _project(block: Any, x_BSW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v by head, (B, H, S, E) each."""
    attention = block.attn
    packed = functional.linear(block.ln_1(x_BSW), attention.in_proj_weight, attention.in_proj_bias)
    q_BHSE, k_BHSE, v_BHSE = packed.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return q_BHSE, k_BHSE, v_BHSE
