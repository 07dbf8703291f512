"""`vtt bench hosts`: one table of what ran, and an exit code for what did not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import vtt_core.bench.hosts.host_cells as host_cells
from app.cli.bench.hosts import hosts
from vtt_core.contract.recipe import METHODS, FinetuneRecipe


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "bench", "hosts", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.services
@pytest.mark.slow
def test_the_table_has_a_line_for_every_method_on_every_backbone(tmp_path: Path) -> None:
    config = tmp_path / "own.json"
    config.write_bytes(Path("tests/fixtures/tiny_clip.json").read_bytes())
    result = run("--backbones", f"small-siglip2, {config}", "--iterations", "30")
    assert result.returncode == 0, result.stderr
    words = [line.split() for line in result.stdout.splitlines()]
    cells = [(line[0], line[1], line[-1]) for line in words if line and line[-1] in ("ok", "FAILED")]
    assert cells == [(backbone, method, "ok") for backbone in ("small-siglip2", "own") for method in METHODS]
    assert f"{2 * len(METHODS)} fine-tunings of 30 steps" in result.stdout


def shortened_without_learning(method: str, iterations: int) -> FinetuneRecipe:
    changes = {"method": method, "iterations": iterations, "min_learning_rate": 0.0}
    return FinetuneRecipe.from_json(changes | ({} if method == "clip-lora" else {"host_learning_rate": 0.0}))


@pytest.mark.slow
def test_a_host_that_does_not_learn_is_named_and_ends_with_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host_cells, "shortened_recipe", shortened_without_learning)
    with pytest.raises(typer.Exit) as ended:
        hosts(backbones="small-clip", iterations=3, as_json=True)
    assert ended.value.exit_code == 1
    printed, told = capsys.readouterr()
    result = json.loads(printed)
    failed = [cell["method"] for cell in result["cells"] if cell["failures"]]
    assert "clip-lora" not in failed
    assert "maple" in failed
    assert result["num_failed"] == len(failed)
    assert "small-clip maple: the classification loss went from" in told


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize(("backbones", "code"), [("no/such", "backbone.unknown"), (" , ", "input")])
def test_wrong_backbones_end_with_code_2_before_anything_runs(backbones: str, code: str) -> None:
    result = run("--backbones", backbones)
    assert result.returncode == 2
    assert code in result.stderr
    assert "clip-lora" not in result.stderr
