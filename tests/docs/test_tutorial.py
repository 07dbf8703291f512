"""The tutorial, followed word for word in an empty folder."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.fixtures.shell_blocks import run_shell, walk

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 580.0
"""Eight commands import torch, each for seconds, and longer on a busy machine."""


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
def test_the_tutorial_leads_from_nothing_to_an_answer_over_http(tmp_path: Path) -> None:
    printed = run_shell(
        walk(ROOT / "docs" / "tutorial.md", ROOT), tmp_path, timeout_seconds=TIMEOUT_SECONDS, PYTHONPATH=str(ROOT)
    )
    assert "0 problems" in printed
    assert "nothing was trained" in printed
    assert "expected " in printed
    assert '"probabilities"' in printed
    assert (tmp_path / "patterns" / "manifest.json").is_file()
    assert "<html" in (tmp_path / "patterns.html").read_text()
    assert [process for process in psutil.process_iter(["cmdline"]) if "tutorial-data" in (process.info["cmdline"] or [])] == []
