from typing import Any

import pytest

from vtt_core.backbones.catalogue import build_catalogue, is_supported
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.backbones import catalogue


def test_the_list_in_the_package_is_what_the_installed_open_clip_gives() -> None:
    assert list(catalogue()) == build_catalogue()


class TestIsSupported:
    def test_a_plain_clip_is(self, tiny_config: dict[str, Any]) -> None:
        assert is_supported(tiny_config)

    @pytest.mark.parametrize(
        "name",
        [
            "RN50",
            "ViT-B-16-SigLIP2",
            "PE-Core-B-16",
            "coca_ViT-B-32",
            "xlm-roberta-base-ViT-B-32",
            "convnext_base",
            "EVA02-B-16",
        ],
    )
    def test_towers_of_another_kind_are_not(self, name: str) -> None:
        config = open_clip.get_model_config(name)
        assert config is not None
        assert not is_supported(config)

    def test_a_text_tower_of_another_width_than_the_joint_size_is_not(self, tiny_config: dict[str, Any]) -> None:
        assert not is_supported(tiny_config | {"embed_dim": 32})


def test_every_listed_name_is_of_a_supported_kind() -> None:
    names = {entry.backbone_id.partition("/")[0] for entry in catalogue() if not entry.is_bundled}
    assert {"ViT-B-32", "ViT-B-16-quickgelu", "ViT-L-14"} <= names
    assert all(is_supported(open_clip.get_model_config(name)) for name in names)
