"""`vtt import custom-vision` writes what `vtt adapt` reads, or uploads it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli.main import cli
from vtt_client import Client


def run(*arguments: str) -> str:
    with capture_logs():
        result = CliRunner().invoke(cli, ["import", "custom-vision", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_that_it_prints_reads_the_folder(project: Path, tmp_path: Path) -> None:
    command = shlex.split(run(str(project), "--out", str(tmp_path / "photos")))
    assert command[:2] == ["vtt", "adapt"]
    looked = CliRunner().invoke(cli, [*command[1:], "--dry-run", "--json"])
    seen = json.loads(looked.stdout)
    assert [one["label"] for one in seen["classes"]] == ["healthy leaf", "leaf rust"]
    assert seen["negative"]["name"] == "Negative"
    assert seen["is_usable"]


def test_a_tag_that_cannot_be_a_folder_keeps_its_name(tmp_path: Path, project: Path) -> None:
    tagged = project / "tagged.json"
    tagged.write_text(tagged.read_text().replace("leaf rust", "rust/blight"))
    command = shlex.split(run(str(project), "--out", str(tmp_path / "photos")))
    assert (tmp_path / "photos" / "rust_blight" / "0B_photo.png").exists()
    seen = json.loads(CliRunner().invoke(cli, [*command[1:], "--dry-run", "--json"]).stdout)
    assert [one["label"] for one in seen["classes"]] == ["healthy leaf", "rust/blight"]


def test_a_zip_is_uploaded_with_its_negative_class(project: Path, url: str) -> None:
    archive = shutil.make_archive(str(project), "zip", project)
    found = json.loads(run(archive, "--url", url, "--json"))
    with Client(url) as client:
        made = client.support_set(found["support_set_id"])
    assert ([one.label for one in made.classes], made.negative) == (["healthy leaf", "leaf rust", "Negative"], "Negative")
    assert len(found["left_out"]) == 2


def test_a_folder_with_something_in_it_is_left_alone(project: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["import", "custom-vision", str(project), "--out", str(project)])
    assert result.exit_code == 2
    assert "new or empty folder" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("options", [[], ["--out", "a", "--url", "http://lab"]])
def test_one_of_out_and_url_is_needed(project: Path, options: list[str]) -> None:
    assert CliRunner().invoke(cli, ["import", "custom-vision", str(project), *options]).exit_code == 2
