"""The shell lines of README.md and the walk in docs/api.md are run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.synthetic_images import write_folders

pytestmark = [pytest.mark.services, pytest.mark.slow]


def shell_of(document: Path, heading: str) -> str:
    """Return the shell blocks of a section, in their order."""
    section = document.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL))


def run_shell(script: str, service_url: str, folder: Path) -> str:
    """Run the lines in a folder with `.venv`, against the service, and return what they print."""
    (folder / ".venv").symlink_to(sys.prefix)
    # Only here: an error status of any call fails the script.
    (folder / ".curlrc").write_text("fail-with-body\n")
    environment = os.environ | {"SERVICE": service_url, "HOME": str(folder), "CURL_HOME": str(folder)}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


def test_the_readme_leads_from_photographs_to_a_prediction(service_url: str, root: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "photos", num_images=2)
    (tmp_path / "photos" / "star" / "001.png").rename(tmp_path / "new.jpg")
    script = shell_of(root / "README.md", "Your own photographs over HTTP")
    # Fewer steps than the whole recipe: the lines are tested here, not the accuracy.
    shorter = script.replace("'$SET'\"", '\'$SET\'", "recipe": {"iterations": 20}')
    assert shorter != script
    printed = run_shell(shorter, service_url, tmp_path)
    assert '"state": "succeeded"' in printed
    assert printed.count('"probabilities"') == 1


def test_the_walk_through_the_api_works_word_for_word(service_url: str, root: Path, tmp_path: Path) -> None:
    pages = root / "docs" / "api.md"
    script = shell_of(pages, "A walk through the API") + shell_of(pages, "Evaluate a model")
    assert script.count("curl ") >= 10
    printed = run_shell(script, service_url, tmp_path)
    assert "event: progress" in printed
    assert '"state":"succeeded"' in printed.replace(" ", "")
    assert printed.count('"probabilities"') == 5
    (measured,) = json.loads((tmp_path / "evaluations.json").read_text())["evaluations"]
    assert (measured["num_images"], measured["has_images"]) == (10, True)
    first, *others = json.loads((tmp_path / "compared.json").read_text())["evaluations"]
    assert (first["accuracy"], others) == (measured["accuracy"], [])
    assert (tmp_path / "adapter.zip").stat().st_size > 100_000
