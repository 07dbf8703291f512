"""The lines of docs/client.md and the notebook run as they stand there, against a real service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from app.cli.synthetic_images import write_folders

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images to learn from, and others."""
    write_folders(tmp_path / "photos", num_images=4)
    write_folders(tmp_path / "query", num_images=2, seed=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(root: Path, language: str) -> list[str]:
    """Return the blocks of a language in docs/client.md."""
    text = (root / "docs" / "client.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_python_lines_go_from_a_folder_to_a_table(
    service_url: str, root: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {"SERVICE": service_url}
    for block in blocks(root, "python"):
        exec(compile(block, "docs/client.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "state {'state': 'succeeded'" in printed
    assert "000.png" in printed
    assert (folder / "found.csv").read_text().count("rings/") == 2
    assert (folder / "patterns.zip").stat().st_size > 1000


def test_the_remote_commands_do_the_same(service_url: str, root: Path, folder: Path) -> None:
    (script,) = blocks(root, "sh")
    (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(".venv/bin/vtt", ".venv/bin/python -m app.cli.main")],
        cwd=folder,
        env=os.environ | {"SERVICE": service_url, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "000.png: " in done.stdout
    assert "deleted patterns-2" in done.stdout


def test_the_notebook_goes_the_whole_way(service_url: str, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_URL", service_url)
    monkeypatch.setenv("PYTHONPATH", str(root))
    notebook = nbformat.read(root / "docs" / "notebooks" / "tour.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder / "query")}}).execute()
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("succeeded" in text for text in texts)
    assert any(text.startswith("expected accuracy") for text in texts)
    assert (folder / "query" / "tour-adapter.zip").exists()
