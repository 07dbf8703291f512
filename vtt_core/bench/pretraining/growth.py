"""Grow a vision tower during training: early steps run few blocks, and are faster.

A block that is not trained yet passes its input on, because its output projections are zero. So the weights are always those of
a valid tower. A new block starts as a copy of an earlier one with zero output projections, which Muon fills in a few steps.
"""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def silence_blocks(visual: Any, depth: int) -> None:
    """Make the blocks from `depth` on pass their input through.

    Args:
        visual: `open_clip.transformer.VisionTransformer`.
        depth: number of first blocks that do not change.
    """
    for block in visual.transformer.resblocks[depth:]:
        for projection in (block.attn.out_proj, block.mlp.c_proj):
            projection.weight.zero_()
            projection.bias.zero_()


@torch.no_grad()
def grow(visual: Any, old_depth: int, depth: int) -> None:
    """Start the blocks from `old_depth` to `depth` as copies of the trained ones that pass their input through.

    Args:
        visual: `open_clip.transformer.VisionTransformer`.
        old_depth: number of trained blocks.
        depth: number of blocks to train from now on.
    """
    blocks = visual.transformer.resblocks
    for index in range(old_depth, depth):
        blocks[index].load_state_dict(blocks[index % old_depth].state_dict())
    silence_blocks(visual, old_depth)
