import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.services
@pytest.mark.slow
def test_unknown_kernels_of_the_scan_end_with_code_2() -> None:
    result = run("step", "--scan-kernels", "fast")
    assert result.returncode == 2
    assert "reproducible or mamba-ssm" in result.stderr


@pytest.mark.services
@pytest.mark.slow
def test_step_prints_a_table() -> None:
    result = run("step", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1", "--threads", "2")
    assert result.returncode == 0, result.stderr
    for part in ("released", "floor_off", "fast_over_floor", "2 of ", "allocator", "scan: compiled (on a CPU"):
        assert part in result.stdout


@pytest.mark.services
@pytest.mark.slow
def test_an_unknown_backbone_ends_with_code_2() -> None:
    result = run("step", "--backbone", "no/such")
    assert result.returncode == 2
    assert "backbone.unknown" in result.stderr


@pytest.mark.services
@pytest.mark.slow
def test_serve_prints_tables_and_takes_a_configuration_without_http() -> None:
    arguments = ["--batch", "4", "--adapters", "3", "--repeats", "1", "--no-http", "--precision", "float16"]
    result = run("serve", "--backbone", "tests/fixtures/tiny_clip.json", *arguments)
    assert result.returncode == 0, result.stderr
    for part in ("bare", "adapters_3", "one_over_bare", "cold_load_ms", "float16"):
        assert part in result.stdout


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.parametrize(("option", "value"), [("--adapters", "many"), ("--adapters", "0"), ("--precision", "float8")])
def test_a_wrong_number_or_precision_ends_with_code_2(option: str, value: str) -> None:
    result = run("serve", option, value)
    assert result.returncode == 2
    assert repr(value) in result.stderr


@pytest.mark.services
@pytest.mark.slow
def test_parts_prints_a_table() -> None:
    table = run("parts", "--backbone", "tests/fixtures/tiny_clip.json", "--batch", "4", "--repeats", "1")
    assert table.returncode == 0, table.stderr
    for part in ("without cached prompt", "tower forward and backward", "over the fast step"):
        assert part in table.stdout
