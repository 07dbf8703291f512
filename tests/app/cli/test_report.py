"""`vtt report` on the files of an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.report import MANIFEST_FILE, METRICS_FILE, read_facts
from app.reports.again import command_for, request_for
from tests.fixtures.manifests import make_manifest
from vtt_core.adapter import files
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import AdapterFormatError, InputError
from vtt_core.contract.method_spec import parse_spec
from vtt_core.contract.recipe import make_recipe

LABELS = ("cat", "dog")
METRICS: dict[str, Any] = {
    "num_support_images": 4,
    "training_accuracy": 1.0,
    "expected_accuracy": {
        "accuracy": 0.75,
        "low": 0.24,
        "high": 0.97,
        "num_images": 4,
        "how": "2-fold cross-validation",
        "widening": 1.6,
    },
    "zero_shot": {"accuracy": 0.5, "low": 0.1, "high": 0.9, "num_images": 4},
    "linear_probe": None,
    "frozen_head": None,
    "fine_tuned": None,
    "per_class": [{"label": label, "num_images": 2, "num_held_out": 2, "recall": 0.5} for label in LABELS],
    "confusion": [[1, 1], [1, 1]],
    "mistakes": [],
    "calibration_error": None,
    "largest_coverage": 0.8,
    "unknown": None,
    "choice": {"method": "auto", "tower": "frozen", "scales": {"ridge": 5.0}},
    "advice": [],
}
DATA = {
    "sha256": "ef" * 32,
    "classes": [{"label": label, "num_images": 2} for label in LABELS],
    "num_groups": 2,
    "num_negatives": 0,
}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    recipe = make_recipe("auto", backbone_id="mini").to_json() | {"method": "frozen"}
    (folder / MANIFEST_FILE).write_text(json.dumps(make_manifest(LABELS, recipe=recipe).to_json()))
    (folder / METRICS_FILE).write_text(json.dumps({"metrics": METRICS, "data": DATA}))
    return folder


def test_a_report_is_written_from_the_files_of_an_adapter(adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = CliRunner().invoke(cli, ["report", str(adapter), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.strip() == str(out)
    page = out.read_text(encoding="utf-8")
    assert "<h1><bdi>pets</bdi></h1>" in page
    for known in ("75.0 %", "2-fold cross-validation", "ef" * 32, "2 groups named", "--method auto --seed 7 --groups FILE"):
        assert known in page


def test_an_adapter_without_metrics_gives_a_report_that_says_so(adapter: Path, tmp_path: Path) -> None:
    (adapter / METRICS_FILE).unlink()
    out = tmp_path / "report.html"
    result = CliRunner().invoke(cli, ["report", str(adapter), "--out", str(out), "--name", "Pets"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "There is no metrics.json beside the adapter" in result.stderr
    page = out.read_text(encoding="utf-8")
    assert "There is no metrics.json beside the adapter" in page
    assert "was not measured" in page


def test_a_folder_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError, match=r"manifest\.json"):
        read_facts(tmp_path, "x")


@pytest.mark.parametrize(
    "written",
    ["{", "[]", "{}", '{"metrics": 3, "data": {}}', json.dumps({"metrics": METRICS | {"confusion": [[1]]}, "data": DATA})],
)
def test_damaged_metrics_are_refused(adapter: Path, written: str) -> None:
    (adapter / METRICS_FILE).write_text(written)
    with pytest.raises(AdapterFormatError, match=r"metrics"):
        read_facts(adapter, "x")


def test_a_report_that_cannot_be_written_is_named(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Choose another --out"):
        CliRunner().invoke(cli, ["report", str(adapter), "--out", str(tmp_path / "no" / "r.html")], catch_exceptions=False)


def test_the_name_of_the_manifest_is_that_of_adapters() -> None:
    assert MANIFEST_FILE == files.MANIFEST_FILE


@pytest.mark.parametrize(
    ("method", "changes"),
    [("auto", {}), ("frozen", {"head": "gda"}), ("clip-lora+vtt", {"iterations": 9, "prompt_template": "an image, {}"})],
)
def test_the_command_of_a_report_gives_the_same_recipe(method: str, changes: dict[str, Any]) -> None:
    recipe = make_recipe(method, changes=changes, backbone_id="mini")
    served = {**recipe.to_json(), "method": "frozen"} if method == "auto" else recipe.to_json()
    manifest = make_manifest(LABELS, recipe=served)
    command = command_for(manifest, method, has_groups=False, has_negatives=True)
    assert command is not None
    assert command.endswith("--negative LABEL")
    spec = command.split("--method ")[1].split(" --seed")[0].strip("'")
    assert parse_spec(spec, (), backbone_id="mini").recipe == recipe
    body = json.loads(request_for(manifest, method, "set_1").split("\n\n", 1)[1])
    assert make_recipe(body["method"], changes=body.get("recipe"), backbone_id=body["backbone"]) == recipe


def test_the_command_names_the_bands() -> None:
    bands = BandChoice((4, 3, 2), (0, 0, 0), (9, 9, 9))
    recipe = make_recipe("frozen", backbone_id="mini").to_json()
    command = command_for(make_manifest(LABELS, recipe=recipe, bands=bands), None, has_groups=False, has_negatives=False)
    assert "--bands 4,3,2 --stretch LOW,HIGH" in (command or "")


def test_a_recipe_that_no_spec_can_say_has_no_command() -> None:
    recipe = make_recipe("clip-lora", changes={"prompt_template": "photo: {}"}).to_json()
    assert command_for(make_manifest(LABELS, recipe=recipe), None, has_groups=False, has_negatives=False) is None
