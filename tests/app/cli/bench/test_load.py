import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.cli.demo import running_service


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "bench", "load", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.services
@pytest.mark.slow
def test_a_running_service_is_loaded_and_its_memory_followed(tmp_path: Path) -> None:
    plot = tmp_path / "plots" / "memory.png"
    with running_service(tmp_path / "data") as url:
        pid = next(child.pid for child in psutil.Process().children() if "up" in child.cmdline())
        mix = ("--mix", "predict=1,upload=1,job=1", "--models", "1", "--url", url)
        printed = run(*mix, "--seconds", "5", "--rate", "4", "--pid", str(pid), "--memory-plot", str(plot), "--json")
        table = run(*mix, "--seconds", "2", "--clients", "2")
    assert printed.returncode == 0, printed.stderr
    result = json.loads(printed.stdout)
    assert set(result["kinds"]) == {"predict", "upload", "job", "livez", "readyz"}
    assert set(result["statuses"]) <= {"200", "201", "202"}
    assert result["kinds"]["predict"]["accepted_ms"]["p99"] > 0
    assert sum(result["jobs"].values()) == result["kinds"]["job"]["requests"]
    assert {"api", "worker", "up"} <= set(result["memory"]["growth"])
    assert plot.stat().st_size > 1000
    assert table.returncode == 0, table.stderr
    for part in ("2 clients", "p99 ms", "predict", "Retry-After"):
        assert part in table.stdout


@pytest.mark.slow
@pytest.mark.services
def test_no_service_ends_with_code_1_and_says_so() -> None:
    result = run("--url", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "http://127.0.0.1:1" in result.stderr


@pytest.mark.slow
@pytest.mark.services
def test_wrong_shares_end_with_code_2() -> None:
    result = run("--mix", "look=1")
    assert result.returncode == 2
    assert "--mix" in result.stderr
