"""A vision tower that grows: what has not learnt yet changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vtt_core.backbones.mini.growth import first_blocks, grow, silence_blocks
from vtt_core.backbones.mini.model import build_mini

pytestmark = pytest.mark.usefixtures("small_towers")
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def visual() -> Any:
    torch.manual_seed(0)
    return build_mini().visual.eval()


def test_running_the_first_blocks_equals_running_all_with_the_others_silent(visual: Any) -> None:
    whole = visual(PIXELS)
    silence_blocks(visual, 1)
    with first_blocks(visual, 1):
        first = visual(PIXELS)
    assert torch.equal(visual(PIXELS), first)
    assert not torch.allclose(whole, first)
    assert len(visual.transformer.resblocks) == 2


def test_growing_changes_no_answer_and_begins_from_learnt_weights(visual: Any) -> None:
    silence_blocks(visual, 1)
    before = visual(PIXELS)
    grow(visual, 1, 2)
    old, new = visual.transformer.resblocks
    assert torch.equal(visual(PIXELS), before)
    assert torch.equal(new.attn.in_proj_weight, old.attn.in_proj_weight)
    assert not new.mlp.c_proj.weight.any()


def test_all_blocks_are_back_after_an_error(visual: Any) -> None:
    with pytest.raises(RuntimeError), first_blocks(visual, 1):
        visual(torch.zeros(1, 3, 8, 8))
    assert len(visual.transformer.resblocks) == 2
