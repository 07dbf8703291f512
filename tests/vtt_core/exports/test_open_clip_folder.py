from __future__ import annotations

import dataclasses
from pathlib import Path

import open_clip
import pytest
import torch

from tests.fixtures.tiny_backbones import KINDS
from tests.vtt_core.exports.conftest import BackboneOf, MakeSource
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.exports.export import check_agreement
from vtt_core.exports.open_clip_folder import write_open_clip
from vtt_core.exports.source import ExportSource


@pytest.mark.parametrize("kind", KINDS)
def test_stock_open_clip_answers_as_the_adapter(
    kind: str, backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path
) -> None:
    agreement, _ = write_open_clip(make_source(backbone_of(kind)), tmp_path)
    check_agreement(agreement)
    assert agreement.num_images == 5


def test_its_own_three_lines_load_it_and_preprocess_as_we_do(tiny_source: ExportSource, tmp_path: Path) -> None:
    write_open_clip(tiny_source, tmp_path)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path}")
    image = tiny_source.images[0]
    features_1D = model.eval().encode_image(preprocess(image).unsqueeze(0))
    adapter = tiny_source.adapter
    ours_1D = tiny_source.backbone.vision_tower.features(preprocess(image).unsqueeze(0), adapter.lora)
    assert torch.allclose(features_1D, ours_1D, atol=1e-5)


def test_prototypes_alone_classify_where_there_is_no_head(
    make_source: MakeSource, tiny_source: ExportSource, tmp_path: Path
) -> None:
    agreement, _ = write_open_clip(make_source(tiny_source.backbone, has_head=False), tmp_path)
    check_agreement(agreement)


def test_visual_prompts_are_refused_with_the_reason(tiny_source: ExportSource, tmp_path: Path) -> None:
    prompted = dataclasses.replace(tiny_source.adapter, prompts_JPW=torch.zeros(2, 2, 64))
    with pytest.raises(UnsupportedExportError, match=r"visual prompts.*Export it as onnx"):
        write_open_clip(dataclasses.replace(tiny_source, adapter=prompted), tmp_path)
