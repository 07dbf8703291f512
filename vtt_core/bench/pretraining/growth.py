"""Let a vision tower grow while it learns: early steps run few blocks, and cost that much less.

The blocks that do not learn yet pass their input on, because the projections at their ends are zero; the whole
tower therefore computes the same at every depth and the weights are valid at any time. A block begins as a
copy of an earlier one but for those projections, which Muon fills within a few steps.
"""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def silence_blocks(visual: Any, depth: int) -> None:
    """Make all blocks from `depth` on pass their input on.

    Args:
        visual: `open_clip.transformer.VisionTransformer`.
        depth: number of blocks at the bottom that are left alone.
    """
    for block in visual.transformer.resblocks[depth:]:
        for projection in (block.attn.out_proj, block.mlp.c_proj):
            projection.weight.zero_()
            projection.bias.zero_()


@torch.no_grad()
def grow(visual: Any, old_depth: int, depth: int) -> None:
    """Begin the blocks from `old_depth` to `depth` as silent copies of the learnt ones, in their order.

    Args:
        visual: `open_clip.transformer.VisionTransformer`.
        old_depth: number of blocks that have learnt.
        depth: number of blocks that shall learn.
    """
    blocks = visual.transformer.resblocks
    for index in range(old_depth, depth):
        blocks[index].load_state_dict(blocks[index % old_depth].state_dict())
    silence_blocks(visual, old_depth)
