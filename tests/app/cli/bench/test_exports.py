"""`vtt bench exports`: a row for each export, with a reason where there is none."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli.bench.exports import exports
from app.cli.main import cli
from vtt_core.contract.errors import InputError


@pytest.mark.parametrize(("backbones", "formats"), [(" , ", "onnx"), ("mini", "onnx,tflite"), ("mini", "")])
def test_a_wrong_option_is_refused_before_anything_is_loaded(backbones: str, formats: str) -> None:
    with pytest.raises(InputError):
        exports(backbones=backbones, formats=formats)


@pytest.mark.slow
def test_every_row_says_how_an_export_agrees_and_what_it_costs() -> None:
    options = ["--backbones", "mini", "--formats", "open_clip,onnx,adapter", "--json"]
    result = json.loads(CliRunner().invoke(cli, ["bench", "exports", *options], catch_exceptions=False).stdout)
    rows = {row["form"]: row for row in result["rows"]}
    assert list(rows) == ["open_clip", "onnx fp32", "onnx fp16", "onnx int8", "adapter"]
    assert rows["onnx fp32"]["size_bytes"] > rows["onnx fp16"]["size_bytes"] > rows["onnx int8"]["size_bytes"] > 0
    for form in ("open_clip", "onnx fp32", "adapter"):
        assert rows[form]["agreement"]["same_top1"] == 1.0
        assert rows[form]["agreement"]["largest_logit_difference"] < 1e-3
    assert rows["onnx fp32"]["image_milliseconds"] > 0
    assert rows["adapter"]["image_milliseconds"] is None
    assert result["largest_memory_gb"] > 0.1


@pytest.mark.slow
def test_a_backbone_that_has_no_such_form_is_told_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    exports(backbones="PE-Core-T-16-384/random", formats="peft")
    printed = capsys.readouterr().out
    assert "PE-Core-T-16-384/random, peft: This adapter has no export of this kind" in printed
    assert "PeftModel.from_pretrained" in printed
