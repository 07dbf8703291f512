from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.vtt_core.exports.conftest import BackboneOf, MakeSource
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.exports.export import check_agreement
from vtt_core.exports.peft_folder import peft_config, peft_tensors, write_peft
from vtt_core.exports.source import ExportSource


def test_the_scaling_of_the_lora_stays(tiny_source: ExportSource) -> None:
    lora = tiny_source.adapter.lora
    config = peft_config(lora, "base")
    assert config["use_rslora"] is True
    assert config["lora_alpha"] / config["r"] ** 0.5 == pytest.approx(lora.scaling)


def test_every_matrix_has_peft_s_name(tiny_source: ExportSource) -> None:
    tensors = peft_tensors(tiny_source.adapter.lora)
    assert len(tensors) == 3 * 3 * 2
    name = "base_model.model.vision_model.encoder.layers.2.self_attn.v_proj.lora_B.weight"
    assert torch.equal(tensors[name], tiny_source.adapter.lora.lora_B[2, 2])


def test_an_adapter_without_lora_is_refused(tiny_backbone: Backbone, make_source: MakeSource, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedExportError, match=r"one that has no LoRA \(method 'frozen'\)"):
        write_peft(make_source(tiny_backbone, rank=0), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_visual_prompts_are_refused(tiny_source: ExportSource, tmp_path: Path) -> None:
    prompted = dataclasses.replace(tiny_source.adapter, prompts_JPW=torch.zeros(2, 2, 64))
    with pytest.raises(UnsupportedExportError, match="has visual prompts"):
        write_peft(dataclasses.replace(tiny_source, adapter=prompted), tmp_path)


@pytest.mark.parametrize("kind", ["siglip2", "pe-core"])
def test_a_tower_of_timm_is_refused_with_the_reason(
    kind: str, backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedExportError, match=r"its vision tower is timm's .* Export it as open_clip, which takes"):
        write_peft(make_source(backbone_of(kind)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("quick_gelu", [False, True])
def test_stock_peft_on_a_stock_clip_model_answers_as_the_adapter(
    quick_gelu: bool, make_backbone: Callable[..., Backbone], make_source: MakeSource, tmp_path: Path
) -> None:
    source = make_source(make_backbone(quick_gelu=quick_gelu))
    agreement, _ = write_peft(source, tmp_path)
    check_agreement(agreement)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    assert config["vision_config"]["hidden_act"] == ("quick_gelu" if quick_gelu else "gelu")


@pytest.mark.slow
def test_a_folder_with_another_scaling_is_found_out(
    tiny_source: ExportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_half_alpha(*arguments: Any) -> dict[str, Any]:
        config = peft_config(*arguments)
        return config | {"lora_alpha": config["lora_alpha"] / 2}

    monkeypatch.setattr("vtt_core.exports.peft_folder.peft_config", with_half_alpha)
    agreement, _ = write_peft(tiny_source, tmp_path)
    assert agreement.largest_logit_difference > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16", "ViT-L-14"])
def test_the_shapes_of_published_towers_export(name: str, make_source: MakeSource, tmp_path: Path) -> None:
    backbone = load_backbone(f"{name}/random")
    check_agreement(write_peft(make_source(backbone), tmp_path)[0])
    shutil.rmtree(tmp_path / "base")  # up to 1.7 GB, which pytest would keep for three runs
    written = load_file(tmp_path / "adapter_model.safetensors")
    num_layers, width = backbone.vision_tower.num_layers, backbone.vision_tower.width
    assert len(written) == num_layers * 3 * 2
    assert {tuple(tensor.shape) for tensor in written.values()} == {(4, width), (width, 4)}
