import json
import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_step_prints_the_ratios_as_json() -> None:
    result = run("step", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1", "--json")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    for key in ("released_over_fast", "fast_over_floor", "fast_off_over_floor_off", "plain_over_floor"):
        assert printed[key] > 0
    assert printed["batch"] == 4
    assert printed["threads"] >= 1
    assert printed["allocator"]


@pytest.mark.slow
def test_step_prints_a_table() -> None:
    result = run("step", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1", "--threads", "2")
    assert result.returncode == 0, result.stderr
    for part in ("released", "floor_off", "fast_over_floor", "2 of ", "allocator"):
        assert part in result.stdout


def test_an_unknown_backbone_ends_with_code_2() -> None:
    result = run("step", "--backbone", "no/such")
    assert result.returncode == 2
    assert "backbone.unknown" in result.stderr
