"""`vtt import custom-vision` writes what `vtt adapt` reads, or uploads it."""

from __future__ import annotations

import json
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli.main import cli
from tests.fixtures.http_api import encode_image
from vtt_client import Client
from vtt_core.contract.errors import InputError


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


@pytest.mark.parametrize("tag", ["x" * 300, "ü" * 150, "\ud800", "a\0b", ".."])
def test_any_tag_gets_a_folder_and_keeps_its_name(project: Path, tmp_path: Path, tag: str) -> None:
    tagged = project / "tagged.json"
    tagged.write_text(tagged.read_text().replace('"leaf rust"', json.dumps(tag)))
    run(str(project), "--out", str(tmp_path / "photos"))
    names = json.loads((tmp_path / "photos-names.json").read_text(encoding="utf-8"))
    assert sorted(names) == sorted(path.name for path in (tmp_path / "photos").iterdir())
    assert tag.encode("utf-8", "backslashreplace").decode() in names.values()


def packed(path: Path, *, damaged: bool = False, locked: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.png", encode_image(1))
        archive.writestr("dog/b.png", encode_image(2))
    content = bytearray(path.read_bytes())
    if damaged:
        content[content.find(encode_image(2)) + 20] ^= 255
    if locked:
        content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("how", "what"), [({"damaged": True}, "Bad CRC"), ({"locked": True}, "which needs one")])
def test_a_zip_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, how: dict[str, bool], what: str) -> None:
    archive = packed(tmp_path / "export.zip", **how)
    ended = CliRunner().invoke(cli, ["import", "custom-vision", str(archive), "--out", str(tmp_path / "photos")])
    assert isinstance(ended.exception, InputError)
    assert what in ended.exception.got
    assert list(tmp_path.iterdir()) == [archive]


def test_a_path_out_of_the_export_is_named(tmp_path: Path) -> None:
    archive = packed(tmp_path / "export.zip")
    with zipfile.ZipFile(archive, "a") as adding:
        adding.writestr("../../a/x.png", encode_image(3))
    found = json.loads(run(str(archive), "--out", str(tmp_path / "photos"), "--json"))
    assert found["left_out"] == [{"file": "../../a/x.png", "reason": "its path leads out of the export"}]


def test_one_is_not_several(tmp_path: Path) -> None:
    (tmp_path / "export" / "cat").mkdir(parents=True)
    (tmp_path / "export" / "cat" / "a.png").write_bytes(encode_image(1))
    ended = CliRunner().invoke(cli, ["import", "custom-vision", str(tmp_path / "export"), "--out", str(tmp_path / "photos")])
    assert "1 image of 1 tag\n" in ended.stderr
