import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.fixtures.tiny_backbones import read_config, tiny_backbone
from vtt_core.backbones.backbone import CLIP_MEAN, Backbone
from vtt_core.backbones.load import backbone_from_files, load_backbone
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import make_tokenize
from vtt_core.contract.backbones import MINI, catalogue
from vtt_core.contract.errors import BackboneUnavailableError, UnknownBackboneError, UnsupportedBackboneError

NAME = "ViT-B-32"


@pytest.fixture
def tiny_known_model(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give known names of open_clip the tiny architecture: building the real one takes seconds."""
    for name, quick_gelu in ((NAME, False), ("ViT-L-14", False), (f"{NAME}-quickgelu", True)):
        config = copy.deepcopy(tiny_config) | {"quick_gelu": quick_gelu}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)


@pytest.fixture
def weight_file(tiny_backbone: Backbone, tmp_path: Path) -> Path:
    file = tmp_path / "weights.safetensors"
    save_file(tiny_backbone.clip.state_dict(), file)
    return file


class TestBundled:
    def test_it_loads_without_a_network_and_is_what_the_list_says(self) -> None:
        backbone, entry = load_backbone(MINI), catalogue()[0]
        assert backbone.backbone_id == entry.backbone_id == MINI
        assert backbone.joint_size == entry.joint_size
        assert backbone.preprocessing.side_pixels == entry.image_side_pixels
        assert backbone.vision_tower.num_layers == entry.num_vision_layers
        assert backbone.text_tower.num_layers == entry.num_text_layers


@pytest.mark.usefixtures("tiny_known_model")
class TestLocalFile:
    def test_a_safetensors_file_loads_by_name_and_path(self, weight_file: Path, tiny_backbone: Backbone) -> None:
        backbone = load_backbone(f"{NAME}/{weight_file}")
        assert f"{NAME}/{weight_file}".startswith(f"{NAME}//")
        assert backbone.weight_sha256 == tiny_backbone.weight_sha256
        assert backbone.dtype == torch.float32

    def test_nobody_is_told_that_its_weights_are_random(self, weight_file: Path, caplog: pytest.LogCaptureFixture) -> None:
        load_backbone(f"{NAME}/{weight_file}")
        assert caplog.text == ""
        logging.warning("anything else")  # noqa: LOG015 - of the root logger, as open_clip does
        assert "anything else" in caplog.text

    def test_half_precision_weights_become_float32(self, weight_file: Path, tiny_backbone: Backbone) -> None:
        save_file({name: tensor.half() for name, tensor in tiny_backbone.clip.state_dict().items()}, weight_file)
        backbone = load_backbone(f"{NAME}/{weight_file}")
        assert backbone.dtype == torch.float32
        torch.testing.assert_close(backbone.clip.visual.proj, tiny_backbone.clip.visual.proj, rtol=1e-3, atol=1e-3)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BackboneUnavailableError, match="absent.safetensors") as caught:
            load_backbone(f"{NAME}/{tmp_path}/absent.safetensors")
        assert "Give the path" in caught.value.remedy

    def test_a_damaged_file_is_refused(self, weight_file: Path) -> None:
        weight_file.write_bytes(weight_file.read_bytes()[:1000])
        with pytest.raises(BackboneUnavailableError, match="SafetensorError"):
            load_backbone(f"{NAME}/{weight_file}")

    def test_weights_of_another_architecture_are_refused(self, weight_file: Path, uneven_backbone: Backbone) -> None:
        save_file(uneven_backbone.clip.state_dict(), weight_file)
        with pytest.raises(BackboneUnavailableError, match="resblocks"):
            load_backbone(f"{NAME}/{weight_file}")


@pytest.mark.usefixtures("tiny_known_model")
class TestRandomWeights:
    @pytest.mark.slow
    def test_they_are_the_same_each_time(self) -> None:
        assert load_backbone(f"{NAME}/random").weight_sha256 == load_backbone(f"{NAME}/random").weight_sha256

    def test_drawing_them_leaves_the_global_generator_alone(self) -> None:
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        load_backbone(f"{NAME}/random")
        assert torch.equal(torch.rand(2), expected)


@pytest.mark.usefixtures("tiny_known_model")
class TestPublished:
    @pytest.fixture
    def hub(self, weight_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer every download with the tiny weights."""
        monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_args, **_kwargs: str(weight_file))

    @pytest.mark.usefixtures("hub")
    @pytest.mark.parametrize("backbone_id", [f"{NAME}/openai", f"{NAME}-quickgelu/openai"])
    def test_weights_of_openai_run_with_the_activation_they_were_trained_with(self, backbone_id: str) -> None:
        block = load_backbone(backbone_id).clip.visual.transformer.resblocks[0]
        assert isinstance(block.mlp.gelu, open_clip.transformer.QuickGELU)

    @pytest.mark.usefixtures("hub")
    def test_other_weights_run_with_the_activation_of_their_model(self) -> None:
        block = load_backbone(f"{NAME}/laion2b_s34b_b79k").clip.visual.transformer.resblocks[0]
        assert type(block.mlp.gelu) is nn.GELU

    @pytest.mark.usefixtures("hub")
    def test_normalisation_is_what_the_weights_were_trained_with(self) -> None:
        assert load_backbone(f"{NAME}/openai").preprocessing.mean == CLIP_MEAN
        assert load_backbone("ViT-L-14/laion2b_s32b_b82k").preprocessing.mean == (0.5, 0.5, 0.5)

    def test_weights_out_of_reach_name_the_ways_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(BackboneUnavailableError) as caught:
            load_backbone(f"{NAME}/laion2b_s34b_b79k")
        for way_out in ("reach the hub", "HF_HOME", "HF_HUB_OFFLINE=1", f"{NAME}//path/to/weights.safetensors", "mini"):
            assert way_out in caught.value.remedy
        assert caught.value.code == "backbone.unavailable"


class TestOtherKinds:
    """Known names with small architectures of their own kind."""

    @pytest.fixture(autouse=True)
    def small_known_models(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, kind in (("ViT-B-16-SigLIP2", "siglip2"), ("PE-Core-B-16", "pe-core")):
            config = {key: value for key, value in read_config(kind).items() if key not in ("mean", "std")}
            monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["ViT-B-16-SigLIP2", "PE-Core-B-16"])
    def test_random_weights_read_with_the_bundled_tokenizer(self, name: str) -> None:
        backbone = load_backbone(f"{name}/random")
        bundled = make_tokenize(backbone.text_tower.context_length)
        assert torch.equal(backbone.tokenize(["a photo"]), bundled(["a photo"]))
        assert backbone.text_tower.first_word == 1

    @pytest.mark.parametrize("name", ["ViT-B-16-SigLIP2", "PE-Core-B-16"])
    def test_normalisation_of_random_weights_is_that_of_the_published_ones(self, name: str) -> None:
        preprocessing = load_backbone(f"{name}/random").preprocessing
        assert (preprocessing.mean, preprocessing.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        assert (preprocessing.resize, preprocessing.interpolation) == ("squash", "bilinear")

    def test_weights_of_a_file_load_into_a_timm_tower(self, tmp_path: Path) -> None:
        own = tiny_backbone("pe-core")
        save_file(own.clip.state_dict(), tmp_path / "weights.safetensors")
        backbone = load_backbone(f"PE-Core-B-16/{tmp_path}/weights.safetensors")
        assert backbone.weight_sha256 == own.weight_sha256
        images_B3HW = torch.randn(2, 3, 32, 32)
        assert torch.equal(backbone.vision_tower.features(images_B3HW), own.vision_tower.features(images_B3HW))

    def test_trained_weights_need_the_tokenizer_they_were_trained_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(BackboneUnavailableError, match="tokenizer of 'ViT-B-16-SigLIP2/webli'"):
            load_backbone("ViT-B-16-SigLIP2/webli")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "depths", "joint_size"), [("PE-Core-B-16", (12, 24), 1024), ("ViT-B-16-SigLIP2", (12, 12), 768)]
)
def test_a_published_architecture_gives_its_own_features(name: str, depths: tuple[int, int], joint_size: int) -> None:
    backbone = load_backbone(f"{name}/random")
    images_B3HW, tokens_CT = torch.randn(1, 3, 224, 224), backbone.tokenize(["a photo of a x."])
    with torch.inference_mode():
        vision_BLD = backbone.vision_tower.layer_features(images_B3HW)
        text_CLD = backbone.text_tower.layer_features(tokens_CT)
        assert (vision_BLD.shape[1:], text_CLD.shape[1:]) == ((depths[0], joint_size), (depths[1], joint_size))
        assert torch.equal(vision_BLD[:, -1], backbone.clip.encode_image(images_B3HW))
        torch.testing.assert_close(text_CLD[:, -1], backbone.clip.encode_text(tokens_CT), rtol=1e-4, atol=1e-4)


def test_an_unknown_id_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UnknownBackboneError, match="'ViT-B-33/openai'"):
        load_backbone("ViT-B-33/openai")


class TestFromFiles:
    @pytest.fixture
    def write_config(self, tiny_config: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
        def write(**changes: Any) -> Path:
            file = tmp_path / "model.json"
            file.write_text(json.dumps(tiny_config | changes), encoding="utf-8")
            return file

        return write

    def test_weights_come_from_the_file(
        self, write_config: Callable[..., Path], weight_file: Path, tiny_backbone: Backbone
    ) -> None:
        backbone = backbone_from_files("mine", write_config(), weight_file)
        assert backbone.backbone_id == "mine"
        assert backbone.weight_sha256 == tiny_backbone.weight_sha256

    def test_an_unsupported_configuration_is_refused(self, write_config: Callable[..., Path]) -> None:
        config = write_config(embed_dim=32)
        with pytest.raises(UnsupportedBackboneError, match="text width equal to the joint size"):
            backbone_from_files("mine", config, None)

    def test_the_configurations_own_normalisation_is_used(self, write_config: Callable[..., Path]) -> None:
        backbone = backbone_from_files("mine", write_config(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]), None)
        assert backbone.preprocessing.mean == (0.5, 0.5, 0.5)
        assert backbone.preprocessing.std == (0.25, 0.25, 0.25)
