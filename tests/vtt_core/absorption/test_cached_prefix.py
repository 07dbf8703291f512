from collections.abc import Callable

import pytest
import torch

from tests.fixtures.tiny_backbones import tiny_backbone
from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.absorption.prompt import absorb, make_absorption_prompt
from vtt_core.backbones.backbone import Backbone


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "pe-core"])
@pytest.mark.parametrize("template", ["a photo of a {}.", "{}", "a {} seen from above in the early morning."])
def test_it_absorbs_what_the_whole_prompt_absorbs(in_float64: Callable[[Backbone], Backbone], kind: str, template: str) -> None:
    backbone = in_float64(tiny_backbone(kind))
    prompt = make_absorption_prompt(backbone, template, "x")
    fused_BD = torch.randn(3, backbone.joint_size, dtype=torch.float64, requires_grad=True)
    plain = absorb(backbone.text_tower, prompt, fused_BD)
    fast = CachedPrompt(backbone.text_tower, prompt).absorb(fused_BD)
    torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-11)
    cotangent = torch.randn_like(plain)
    gradients = [torch.autograd.grad(absorbed, fused_BD, cotangent)[0] for absorbed in (fast, plain)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-11)


def test_a_tower_that_is_not_causal_is_refused() -> None:
    backbone = tiny_backbone("siglip2")
    prompt = make_absorption_prompt(backbone, "a photo of a {}.", "x")
    with pytest.raises(AssertionError, match="depends on what follows"):
        CachedPrompt(backbone.text_tower, prompt)
