"""A growing vision tower: untrained blocks change nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vtt_core.backbones.mini.model import build_mini
from vtt_core.bench.pretraining.growth import grow, silence_blocks

pytestmark = pytest.mark.usefixtures("small_towers")
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def visual() -> Any:
    torch.manual_seed(0)
    return build_mini().visual.eval()


def test_silent_blocks_pass_their_input_on(visual: Any) -> None:
    whole = visual(PIXELS)
    silence_blocks(visual, 1)
    silent = visual(PIXELS)
    visual.transformer.resblocks = visual.transformer.resblocks[:1]
    assert torch.equal(visual(PIXELS), silent)
    assert not torch.allclose(whole, silent)


def test_growing_changes_no_answer_and_begins_from_learnt_weights(visual: Any) -> None:
    silence_blocks(visual, 1)
    before = visual(PIXELS)
    grow(visual, 1, 2)
    old, new = visual.transformer.resblocks
    assert torch.equal(visual(PIXELS), before)
    assert torch.equal(new.attn.in_proj_weight, old.attn.in_proj_weight)
    assert not new.mlp.c_proj.weight.any()
