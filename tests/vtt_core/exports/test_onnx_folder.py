from __future__ import annotations

import json
import logging
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from tests.fixtures.band_images import LABELS, band_tiff
from tests.fixtures.tiny_backbones import KINDS
from tests.vtt_core.exports.conftest import EXPORTED_LABELS, BackboneOf, MakeSource
from vtt_core.adapter.answer import answers
from vtt_core.adapter.classify import adapter_scores, read_for
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.serving import AnswerOptions
from vtt_core.exports import onnx_folder
from vtt_core.exports.export import check_agreement
from vtt_core.exports.onnx_folder import write_onnx
from vtt_core.exports.source import ExportSource
from vtt_core.heads.features import head_input
from vtt_core.ingest.decode import decode_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(
    backbone_of: BackboneOf, make_source: MakeSource, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ExportSource, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    source = make_source(backbone_of("clip"))
    write_onnx(source, folder)
    return source, folder


@pytest.mark.parametrize("kind", KINDS)
def test_stock_onnxruntime_answers_as_the_adapter_in_each_precision(
    kind: str, backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path
) -> None:
    agreement, _, variants = write_onnx(make_source(backbone_of(kind)), tmp_path)
    check_agreement(agreement)
    assert set(variants) == {"fp32", "fp16", "int8"}
    assert variants["fp16"].size_bytes < 0.8 * variants["fp32"].size_bytes
    assert 0 < variants["fp16"].agreement.largest_logit_difference < 0.1
    for variant in variants.values():
        assert variant.size_bytes == (tmp_path / variant.file_name).stat().st_size
        assert variant.agreement.num_images == 5


def test_any_number_of_images_goes_through_at_once(written: tuple[ExportSource, Path]) -> None:
    _, folder = written
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    names = [output.name for output in session.get_outputs()]
    assert names == ["logits", "probabilities", "feature", "unknown"]
    for number in (1, 7):
        pixels = np.random.default_rng(0).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
        _, probabilities, feature, unknown = session.run(None, {"pixels": pixels})
        assert probabilities.shape == (number, len(EXPORTED_LABELS))
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(feature, axis=1) == pytest.approx(1, abs=1e-5)
        assert unknown.shape == (number,)


def test_images_of_none_of_the_classes_are_told_as_the_adapter_tells_them(
    written: tuple[ExportSource, Path], draw_image: Callable[..., Image.Image]
) -> None:
    source, folder = written
    images = [draw_image(index % 4, index, (40 + index, 60)) for index in range(24)]
    script = runpy.run_path(str(folder / "classify.py"))
    theirs = script["classify"](script["load"](), images)
    readout = read_for(source.backbone, source.adapter, images)
    scores_BR = adapter_scores(source.adapter, readout)
    ours = answers(source.adapter, scores_BR, head_input(readout), AnswerOptions())
    assert [verdict for _, verdict in theirs] == [answer.none_of_these for answer in ours]
    assert [next(iter(ranked)) for ranked, _ in theirs] == [next(iter(answer.probabilities)) for answer in ours]
    assert {answer.none_of_these for answer in ours} == {True, False}


def test_the_graph_asks_for_operators_that_browsers_know(written: tuple[ExportSource, Path]) -> None:
    model = onnx.load(written[1] / "model.onnx")
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
    onnx.checker.check_model(model)


def test_a_model_that_cannot_tell_has_no_such_output(backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path) -> None:
    write_onnx(make_source(backbone_of("clip"), has_head=False, rank=0), tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities", "feature"]
    assert json.loads((tmp_path / "model.json").read_text())["none_of_these"]["familiarity_threshold"] is None


def test_visual_prompts_are_in_the_graph(backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path) -> None:
    source = make_source(backbone_of("clip"), rank=0)
    width = source.backbone.vision_tower.width
    prompts_JPW = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(0))
    prompted = replace(source, adapter=replace(source.adapter, prompts_JPW=prompts_JPW), is_generated=True)
    assert prompted.agreement(source.own_scores_BR).largest_logit_difference > 0.01
    check_agreement(write_onnx(prompted, tmp_path)[0])


def test_ranges_from_images_are_taken_where_they_agree_better(
    written: tuple[ExportSource, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = written
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    # A form that cannot be beaten: the graph in float32 itself.
    monkeypatch.setattr(onnx_folder, "write_static", lambda graph, target, _: shutil.copyfile(graph, target))
    variant = onnx_folder._int8(source, tmp_path)
    assert variant.note == "8-bit products; ranges from 3 of the given images"
    assert variant.file_name == "model.int8.onnx"
    assert (tmp_path / "model.int8.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    assert not (tmp_path / "static.onnx").exists()


def test_generated_images_calibrate_nothing(written: tuple[ExportSource, Path], tmp_path: Path) -> None:
    source, _ = written
    _, _, variants = write_onnx(replace(source, is_generated=True), tmp_path)
    assert "each run" in variants["int8"].note
    assert not (tmp_path / "static.onnx").exists()


def test_the_log_has_no_line_for_each_weight(
    backbone_of: BackboneOf, make_source: MakeSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_onnx(make_source(backbone_of("clip")), tmp_path)
    assert [record.name for record in caplog.records if record.name.startswith("onnx")] == []


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.parametrize("missing", ["model.json", "model.onnx", "image"])
def test_what_is_missing_beside_the_script_is_one_line(
    written: tuple[ExportSource, Path], tmp_path: Path, missing: str
) -> None:
    shutil.copytree(written[1], tmp_path, dirs_exist_ok=True)
    (tmp_path / missing).unlink(missing_ok=True)
    command = [sys.executable, str(tmp_path / "classify.py"), str(tmp_path / "image")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert missing in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_script_shows_bands_as_the_model_has_learnt_them(written: tuple[ExportSource, Path], tmp_path: Path) -> None:
    choice = BandChoice((4, 3, 2), (100, 200, 300), (9000, 8000, 7000))
    shutil.copytree(written[1], tmp_path, dirs_exist_ok=True)
    facts = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(facts | {"bands": choice.to_json()}))
    image = tmp_path / "field.tif"
    image.write_bytes(band_tiff(LABELS[0], 0))
    shown = runpy.run_path(str(tmp_path / "classify.py"))["open_image"](image)
    expected = decode_image(image.read_bytes(), bands=choice)
    assert np.array_equal(np.asarray(shown), np.asarray(expected))
    assert np.asarray(shown).std() > 0
