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
    assert printed["scan"]["name"] == "compiled"
    assert printed["scan"]["reason"]


def test_unknown_kernels_of_the_scan_end_with_code_2() -> None:
    result = run("step", "--scan-kernels", "fast")
    assert result.returncode == 2
    assert "same-bytes or mamba-ssm" in result.stderr


@pytest.mark.slow
def test_step_prints_a_table() -> None:
    result = run("step", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1", "--threads", "2")
    assert result.returncode == 0, result.stderr
    for part in ("released", "floor_off", "fast_over_floor", "2 of ", "allocator", "scan: compiled (on a CPU"):
        assert part in result.stdout


@pytest.mark.slow
def test_jobs_prints_the_ratio() -> None:
    arguments = ["--number", "2", "--iterations", "2", "--shot", "1", "--repeats", "1"]
    result = run("jobs", "--backbone", "tests/fixtures/tiny_clip.json", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["together_over_one_after_another"] > 0
    assert printed["largest_difference"] < 1e-4
    table = run("jobs", "--backbone", "tests/fixtures/tiny_clip.json", *arguments)
    assert "one_after_another" in table.stdout


def test_an_unknown_backbone_ends_with_code_2() -> None:
    result = run("step", "--backbone", "no/such")
    assert result.returncode == 2
    assert "backbone.unknown" in result.stderr


@pytest.mark.slow
def test_serve_prints_the_ratios_as_json() -> None:
    arguments = ["--batch", "4", "--adapters", "1,4,9", "--repeats", "1", "--requests", "8", "--json"]
    result = run("serve", "--backbone", "mini", *arguments)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    for key in ("distinct4_over_bare", "adapters9_over_1", "http_over_bare", "cold_load_ms"):
        assert printed[key] > 0
    assert printed["largest_difference_to_merged"] < 1e-5


@pytest.mark.slow
def test_serve_prints_tables_and_takes_a_configuration_without_http() -> None:
    arguments = ["--batch", "4", "--adapters", "3", "--repeats", "1", "--no-http", "--precision", "float16"]
    result = run("serve", "--backbone", "tests/fixtures/tiny_clip.json", *arguments)
    assert result.returncode == 0, result.stderr
    for part in ("bare", "adapters_3", "one_over_bare", "cold_load_ms", "float16"):
        assert part in result.stdout


@pytest.mark.parametrize(("option", "value"), [("--adapters", "many"), ("--adapters", "0"), ("--precision", "float8")])
def test_a_wrong_number_or_precision_ends_with_code_2(option: str, value: str) -> None:
    result = run("serve", option, value)
    assert result.returncode == 2
    assert repr(value) in result.stderr


@pytest.mark.slow
def test_parts_prints_a_table_and_json() -> None:
    arguments = ("parts", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1")
    table, printed = run(*arguments), run(*arguments, "--json")
    assert table.returncode == 0, table.stderr
    for part in ("without cached prompt", "tower forward and backward", "over the fast step"):
        assert part in table.stdout
    assert json.loads(printed.stdout)["over_fast"]["fusion"] > 0
