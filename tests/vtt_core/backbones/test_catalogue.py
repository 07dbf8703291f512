from typing import Any

import pytest

from tests.fixtures.tiny_backbones import KINDS, read_config
from vtt_core.backbones.catalogue import build_catalogue, is_supported, why_unsupported
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.timm_trunks import timm_trunk
from vtt_core.contract.backbones import catalogue


@pytest.mark.slow
def test_the_list_in_the_package_is_what_the_installed_open_clip_gives() -> None:
    assert list(catalogue()) == build_catalogue()


class TestIsSupported:
    def test_a_plain_clip_is(self, tiny_config: dict[str, Any]) -> None:
        assert is_supported(tiny_config)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_is(self, kind: str) -> None:
        assert is_supported(read_config(kind))

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("RN50x64", "its vision tower is a ResNet"),
            ("coca_ViT-B-32", "it also writes captions"),
            ("xlm-roberta-base-ViT-B-32", "its text tower is not open_clip's own"),
            ("convnext_base", "its vision tower is timm's ConvNeXt, neither a VisionTransformer nor an Eva"),
            ("EVA02-B-16", "its vision tower's q, k and v are separate layers"),
            ("EVA01-g-14-plus", "its vision tower multiplies by the weights of q, k and v without calling their layer"),
            ("ViT-gopt-16-SigLIP2-256", "its text width 1152 is not the joint size 1536"),
            ("ViT-L-14-CLIPA", "its vision tower has the pooling 'avg'"),
        ],
    )
    def test_others_are_refused_with_the_reason(self, name: str, reason: str) -> None:
        config = open_clip.get_model_config(name)
        assert config is not None
        assert why_unsupported(config) == reason
        assert not is_supported(config)

    @pytest.mark.parametrize(
        ("part", "change", "reason"),
        [
            ("vision_cfg", {"attentional_pool": True}, "its vision tower has attentional_pool"),
            ("text_cfg", {"qk_norm": True}, "its text tower has qk_norm"),
            ("text_cfg", {"pool_type": "first"}, "its text tower has the pooling 'first'"),
        ],
    )
    def test_an_option_that_would_be_run_wrongly_is_named(
        self, tiny_config: dict[str, Any], part: str, change: dict[str, Any], reason: str
    ) -> None:
        assert why_unsupported(tiny_config | {part: tiny_config[part] | change}) == reason

    def test_a_text_tower_of_another_width_than_the_joint_size_is_not(self, tiny_config: dict[str, Any]) -> None:
        assert not is_supported(tiny_config | {"embed_dim": 32})


def test_depths_of_timm_models_are_their_own() -> None:
    assert len(timm_trunk("vit_small_siglip_of_vtt").blocks) == 3
    entries = {entry.backbone_id: entry for entry in catalogue()}
    siglip, perception = entries["ViT-B-16-SigLIP2/webli"], entries["PE-Core-B-16/meta"]
    assert (siglip.num_vision_layers, siglip.num_text_layers, siglip.joint_size) == (12, 12, 768)
    assert (perception.num_vision_layers, perception.num_text_layers, perception.joint_size) == (12, 24, 1024)


def test_the_description_says_what_is_unlike_clip() -> None:
    descriptions = {entry.backbone_id: entry.description for entry in catalogue()}
    assert "vit_base_patch16_siglip_224, width 768; text read both ways" in descriptions["ViT-B-16-SigLIP2/webli"]
    assert "needs the extra siglip" in descriptions["ViT-B-16-SigLIP2/webli"]
    assert "siglip" not in descriptions["PE-Core-B-16/meta"]


def test_the_backbones_of_the_paper_are_listed() -> None:
    names = {entry.backbone_id.partition("/")[0] for entry in catalogue() if not entry.is_bundled}
    assert {"ViT-B-32", "ViT-B-16-quickgelu", "ViT-L-14", "ViT-B-16-SigLIP2", "PE-Core-B-16"} <= names
