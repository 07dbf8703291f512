"""The shell lines of README.md and the walk in docs/api.md are run as they stand there."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.synthetic_images import write_folders
from tests.fixtures.shell_blocks import run_shell, walk

pytestmark = [pytest.mark.services, pytest.mark.slow]


def follow(document: Path, service_url: str, root: Path, folder: Path, change: Callable[[str], str] = str) -> str:
    """Run the lines of a document against the service, and return what they print."""
    # Only here: an error status of any call fails the script.
    (folder / ".curlrc").write_text("fail-with-body\n")
    return run_shell(change(walk(document, root)), folder, SERVICE=service_url)


def test_the_readme_leads_from_photographs_to_a_prediction(service_url: str, root: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "photos", num_images=2)
    (tmp_path / "photos" / "star" / "001.png").rename(tmp_path / "new.jpg")

    def shorten(script: str) -> str:
        # Fewer steps than the whole recipe: the lines are tested here, not the accuracy.
        shorter = script.replace("'$SET'\"", '\'$SET\'", "recipe": {"iterations": 20}')
        assert shorter != script
        return shorter

    printed = follow(root / "README.md", service_url, root, tmp_path, shorten)
    assert '"state": "succeeded"' in printed
    assert printed.count('"probabilities"') == 1


def test_the_walk_through_the_api_works_word_for_word(service_url: str, root: Path, tmp_path: Path) -> None:
    pages = root / "docs" / "api.md"
    assert walk(pages, root).count("curl ") >= 10
    printed = follow(pages, service_url, root, tmp_path)
    assert "event: progress" in printed
    assert '"state":"succeeded"' in printed.replace(" ", "")
    assert printed.count('"probabilities"') == 5
    (measured,) = json.loads((tmp_path / "evaluations.json").read_text())["evaluations"]
    assert (measured["num_images"], measured["has_images"]) == (10, True)
    first, *others = json.loads((tmp_path / "compared.json").read_text())["evaluations"]
    assert (first["accuracy"], others) == (measured["accuracy"], [])
    assert (tmp_path / "adapter.zip").stat().st_size > 100_000
