"""Every benchmark runs: a short run of each command, as a user types it. One that cannot run any more fails here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli.main import cli

TINY = ("--backbone", "tests/fixtures/tiny_clip.json")
EPISODES = ("--way", "2", "--shot", "1", "--query", "1", "--episodes", "2", "--iterations", "1", "--threads", "1")


def vtt(*arguments: str) -> str:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def bench(*arguments: str) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(vtt("bench", *arguments, "--json"))
    return printed


def step(_: Path) -> None:
    printed = bench("step", *TINY, "--batch", "4", "--repeats", "1")
    for key in ("released_over_fast", "fast_over_floor", "fast_off_over_floor_off", "plain_over_floor"):
        assert printed[key] > 0
    assert (printed["batch"], printed["scan"]["name"]) == (4, "compiled")
    assert printed["threads"] >= 1
    assert printed["allocator"]
    assert printed["scan"]["reason"]


def jobs(_: Path) -> None:
    printed = bench("jobs", *TINY, "--number", "2", "--iterations", "2", "--shot", "1", "--repeats", "1")
    assert printed["stacked_over_one_by_one"] > 0
    assert printed["largest_difference"] < 1e-4


def serve(_: Path) -> None:
    """With as many clients as it has by default, on a process that has answered nothing yet."""
    printed = bench("serve", "--adapters", "1,3", "--repeats", "1", "--requests", "64")
    assert printed["http_clients"] == 32
    for key in ("distinct32_over_bare", "adapters3_over_1", "http_over_bare", "cold_load_ms"):
        assert printed[key] > 0
    assert printed["largest_difference_to_merged"] < 1e-5
    assert printed["raised_limits"]["VTT_PREDICT_MAX_WAIT_SECONDS"], "it says under which limits it was measured"


def growth(folder: Path) -> None:
    curves = bench("growth", "--out", str(folder), "--repeats", "1", "--points", "2")["curves"]
    assert len(curves) == len(list(folder.glob("growth-*.png"))) == 11
    assert {"stored adapters", "lists sqlite", "sweeps sqlite", "counts sqlite", "image sets"} <= {
        curve["title"] for curve in curves
    }
    printed = vtt("bench", "growth", "--out", str(folder), "--repeats", "1", "--points", "2", "--only", "image sets")
    assert "| milliseconds | 1,000 | 10,000 |" in printed


def _episodes(folder: Path) -> None:
    vtt("sample-images", str(folder / "images"), "--images", "4")
    methods = ("--methods", "zero-shot,clip-lora+vtt", "--out", str(folder / "out"))
    assert bench("episodes", "--data", str(folder / "images"), *EPISODES, *methods)["episodes"] == 2


def table(folder: Path) -> None:
    _episodes(folder)
    assert bench("table", f"drawn={folder / 'out'}")["table"]


def reproduce(_: Path) -> None:
    assert bench("reproduce", "clip-lora+vtt/1-shot", "--dry-run", "--domains", "eurosat", "--threads", "1")["dry_run"]


SHORT_RUNS: dict[str, Callable[[Path], None]] = {run.__name__: run for run in (step, jobs, serve, growth, table, reproduce)}
RUN_ELSEWHERE = {
    "episodes": "test_episodes.py",
    "expected": "test_expected.py",
    "exports": "test_exports.py",
    "hosts": "test_hosts.py",
    "load": "test_load.py",
    "parts": "test_step.py",
    "unknown": "test_unknown.py",
}
"""Commands whose own tests run them as a user types them."""


def bench_commands() -> list[str]:
    group = typer.main.get_command(cli).commands["bench"]  # type: ignore[attr-defined]
    return sorted(group.commands)


def test_every_benchmark_has_a_short_run() -> None:
    assert bench_commands() == sorted([*SHORT_RUNS, *RUN_ELSEWHERE])
    for command, file in RUN_ELSEWHERE.items():
        assert f'"{command}"' in Path(__file__).with_name(file).read_text(encoding="utf-8")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("command", list(SHORT_RUNS))
def test_a_short_run_prints_its_figures(command: str, tmp_path: Path) -> None:
    SHORT_RUNS[command](tmp_path)
