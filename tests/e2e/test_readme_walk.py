"""The README's API walk-through runs as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.services, pytest.mark.slow]


def walk_of(readme: Path) -> str:
    """Return the shell blocks of the walk-through, in order."""
    section = readme.read_text(encoding="utf-8").split("### A walk through the API")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL))


def test_the_walk_through_works_word_for_word(service_url: str, root: Path, tmp_path: Path) -> None:
    script = walk_of(root / "README.md")
    assert script.count("curl ") >= 10
    (tmp_path / ".venv").symlink_to(sys.prefix)
    # Only in this test: an error status of any call fails it.
    (tmp_path / ".curlrc").write_text("fail-with-body\n")
    environment = os.environ | {"SERVICE": service_url, "HOME": str(tmp_path), "CURL_HOME": str(tmp_path)}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert "event: progress" in result.stdout
    assert '"state":"succeeded"' in result.stdout.replace(" ", "")
    assert result.stdout.count('"probabilities"') == 4
    assert (tmp_path / "adapter.zip").stat().st_size > 100_000
