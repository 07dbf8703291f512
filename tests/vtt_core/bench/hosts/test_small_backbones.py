import pytest
import torch

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.timm_vision_tower import TimmVisionTower
from vtt_core.bench.hosts.small_backbones import KINDS, SMALL_BACKBONES, config_file, small_backbone


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_weights_and_nothing_else(kind: str) -> None:
    drawn_before = torch.random.get_rng_state()
    backbone = small_backbone(kind, seed=1)
    assert torch.equal(torch.random.get_rng_state(), drawn_before)
    assert backbone.weight_sha256 == small_backbone(kind, seed=1).weight_sha256
    assert backbone.weight_sha256 != small_backbone(kind, seed=2).weight_sha256
    assert SMALL_BACKBONES[backbone.backbone_id] == kind
    assert config_file(kind).is_file()


@pytest.mark.slow
def test_the_kinds_differ_in_their_towers() -> None:
    clip, siglip2, pe_core = (small_backbone(kind) for kind in KINDS)
    assert isinstance(clip.vision_tower, ClipVisionTower)
    assert all(isinstance(backbone.vision_tower, TimmVisionTower) for backbone in (siglip2, pe_core))
    assert siglip2.clip.visual.trunk.cls_token is None
    assert pe_core.clip.visual.trunk.rope is not None
    assert [backbone.text_tower.is_causal for backbone in (clip, siglip2, pe_core)] == [True, False, True]
