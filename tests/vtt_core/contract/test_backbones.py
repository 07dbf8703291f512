import subprocess
import sys

import pytest

from vtt_core.contract.backbones import MINI, catalogue, check_backbone_id, split_backbone_id
from vtt_core.contract.errors import UnknownBackboneError


class TestCatalogue:
    def test_the_bundled_backbone_comes_first_and_is_the_only_one(self) -> None:
        assert catalogue()[0].backbone_id == MINI
        assert [entry.backbone_id for entry in catalogue() if entry.is_bundled] == [MINI]

    def test_no_id_comes_twice(self) -> None:
        assert len({entry.backbone_id for entry in catalogue()}) == len(catalogue())

    def test_sizes_are_those_of_the_real_models(self) -> None:
        entries = {entry.backbone_id: entry for entry in catalogue()}
        base, large = entries["ViT-B-16-quickgelu/openai"], entries["ViT-L-14/openai"]
        assert (base.image_side_pixels, base.joint_size, base.num_vision_layers, base.num_text_layers) == (224, 512, 12, 12)
        assert (large.joint_size, large.num_vision_layers, large.num_text_layers) == (768, 24, 12)

    @pytest.mark.services
    def test_reading_it_needs_no_torch(self) -> None:
        program = "import sys; from vtt_core.contract.backbones import catalogue; catalogue(); sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", program], check=True)


class TestCheckBackboneId:
    @pytest.mark.parametrize(
        "backbone_id",
        [
            "mini",
            "ViT-B-16-quickgelu/openai",
            "ViT-B-32/laion2b_s34b_b79k",
            "ViT-B-16/random",
            "ViT-B-16//data/weights.safetensors",
            "ViT-B-16/weights.safetensors",
        ],
    )
    def test_known_ones_pass(self, backbone_id: str) -> None:
        check_backbone_id(backbone_id)

    @pytest.mark.parametrize(
        ("backbone_id", "near"),
        [
            ("ViT-B-16/opena", "'ViT-B-16/openai'"),
            ("vit-b-32/openai", "'ViT-B-32/openai'"),
            ("ViT-B-16", "'ViT-B-16/"),
            ("Mini", "'mini'"),
            ("ViT-B-33//data/weights.safetensors", "'ViT-"),
        ],
    )
    def test_an_unknown_one_names_near_ones(self, backbone_id: str, near: str) -> None:
        with pytest.raises(UnknownBackboneError) as caught:
            check_backbone_id(backbone_id)
        assert near in caught.value.expected
        assert repr(backbone_id) in caught.value.got

    @pytest.mark.parametrize("backbone_id", ["", "/", "mini/random", "mini//w.safetensors", "RN50/openai", "§§§", "x" * 5000])
    def test_one_that_is_near_to_nothing_still_names_some(self, backbone_id: str) -> None:
        with pytest.raises(UnknownBackboneError) as caught:
            check_backbone_id(backbone_id)
        assert "'" in caught.value.expected.removeprefix("'mini' or 'name/tag'")
        assert len(str(caught.value)) < 700


def test_an_id_is_split_at_its_first_slash() -> None:
    assert split_backbone_id("mini") == ("mini", "")
    assert split_backbone_id("ViT-B-16/openai") == ("ViT-B-16", "openai")
    assert split_backbone_id("ViT-B-16//data/w.safetensors") == ("ViT-B-16", "/data/w.safetensors")
