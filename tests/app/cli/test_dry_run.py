"""What `vtt adapt` would read is shown whole: classes, prompts, problems, advice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from app.cli.dry_run import look, write_dry_run, write_remarks
from app.cli.groups_file import chosen_groups
from app.cli.main import cli
from app.cli.selection import survey_images
from app.cli.synthetic_images import write_folders
from tests.fixtures.dicom_writer import write_dicom

TEMPLATE = "a photo of a {}."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folders(tmp_path / "drawn", num_images=3)
    return tmp_path / "drawn"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "app.cli.main", "adapt", *arguments, "--dry-run"]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_classes_come_with_their_prompts_and_numbers_of_images(folder: Path) -> None:
    (folder / "star").rename(folder / "AnnualCrop")
    found = look(survey_images(folder, shot=2, query=5), TEMPLATE)
    assert found.is_usable
    assert found.classes[0] == {
        "name": "AnnualCrop",
        "label": "AnnualCrop",
        "prompt": "a photo of a AnnualCrop.",
        "support": 2,
        "groups": 0,
        "query": 1,
    }
    assert (found.num_groups, found.num_ungrouped) == (0, 10)
    assert [(advice["label"], advice["suggestion"]) for advice in found.advice] == [("AnnualCrop", "annual crop")]
    assert (found.problems, found.left_out, found.notices) == ([], [], [])


def test_names_from_a_file_need_no_advice(folder: Path, tmp_path: Path) -> None:
    (folder / "star").rename(folder / "AnnualCrop")
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"AnnualCrop": "annual crop"}))
    found = look(survey_images(folder, shot=2, query=0, names_path=names), TEMPLATE)
    assert (found.classes[0]["name"], found.advice) == ("annual crop", [])


def test_patients_of_dicom_files_are_counted_as_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    for place, (label, patient) in enumerate((("nevus", "7"), ("nevus", "7"), ("nevus", "8"), ("other", "8"), ("other", ""))):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{place}.dcm").write_bytes(write_dicom(np.roll(pixels, place), PatientID=patient))
    by_patient = chosen_groups(None, by_prefix=False, by_patient=True)
    survey = survey_images(tmp_path, shot=None, query=0, groups=by_patient)
    found = look(survey, TEMPLATE)
    assert [(one["label"], one["support"], one["groups"]) for one in found.classes] == [("nevus", 3, 2), ("other", 2, 1)]
    assert (found.num_groups, found.num_ungrouped, found.notices) == (2, 1, [])
    write_dry_run(survey, TEMPLATE, as_json=False)
    printed = capsys.readouterr().out
    assert "nevus                             3 support    2 groups    0 query" in printed
    assert "2 groups; 1 support images are in none" in printed


def test_where_no_image_names_a_patient_it_is_said(folder: Path) -> None:
    groups = chosen_groups(None, by_prefix=False, by_patient=True)
    (notice,) = look(survey_images(folder, shot=2, query=0, groups=groups), TEMPLATE).notices
    assert "no image is a DICOM file with a PatientID" in notice


@pytest.mark.slow
def test_many_files_with_one_cause_are_one_entry_with_their_number(folder: Path) -> None:
    for number in range(3000):
        (folder / "star" / f"note-{number}.txt").write_bytes(b"text")
    found = look(survey_images(folder, shot=3, query=5), TEMPLATE)
    assert [(left["count"], left["code"]) for left in found.left_out] == [(3000, "image.not_an_image")]


@pytest.mark.slow
@pytest.mark.services
def test_the_command_names_problems_and_ends_as_the_real_one_would(folder: Path) -> None:
    shutil.copytree(folder / "star", folder / "Star")
    (folder / "nothing").mkdir()
    done = run(str(folder), "--json")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert not report["is_usable"]
    assert {problem["code"] for problem in report["problems"]} == {"support_set.same_tokens", "support_set.empty_class"}


@pytest.mark.slow
@pytest.mark.services
def test_the_command_imports_no_torch_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(str(folder), "--shot", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "app.cli.dry_run" in imported
    assert not {"torch", "open_clip", "numpy"} & imported
    assert not out.exists()
    assert "5 classes, 10 support images, 5 query images; nothing was trained" in done.stdout
    assert "a photo of a polka dots." in done.stdout


@pytest.mark.slow
@pytest.mark.services
def test_a_source_that_cannot_be_read_is_a_problem_like_others(tmp_path: Path) -> None:
    done = run(str(tmp_path / "nowhere"), "--json")
    assert done.returncode == 2
    assert [problem["code"] for problem in json.loads(done.stdout)["problems"]] == ["archive.bad_source"]


def test_remarks_are_sentences_on_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "star").rename(folder / "IMG")
    (folder / "rings").rename(folder / "001.Rings")
    write_remarks(survey_images(folder, shot=2, query=0), TEMPLATE)
    written = capsys.readouterr()
    assert written.out == ""
    assert "advice on '001.Rings': The prompt will be 'a photo of a 001.Rings.'." in written.err
    assert "Better: 'rings'." in written.err
    assert 'To rename classes, pass --names FILE with {"001.Rings": "rings", "IMG": "..."}' in written.err


def test_the_table_shows_what_was_taken_from_train_and_val(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = tmp_path / "split"
    for part in ("train", "val"):
        shutil.copytree(folder, split / part)
        for file in (split / part).rglob("*.png"):
            keep = file.name == "000.png" if part == "val" else file.name != "000.png"
            file.unlink() if not keep else os.utime(file)
    write_dry_run(survey_images(split, shot=1, query=9), TEMPLATE, as_json=False)
    written = capsys.readouterr()
    assert "5 classes, 5 support images, 10 query images" in written.out
    assert (
        "The support set was taken from 'train' (10 images). The accuracy is measured on 'val' (5 images) first." in written.err
    )


@pytest.mark.slow
@pytest.mark.services
def test_the_command_shows_the_negative_class_and_what_is_odd_about_groups(folder: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\nrings/000.png,p1\nrings/002.png,p1\nmissing.png,p2\n")
    options = ("--groups", str(groups), "--negative", "star", "--shot", "2")
    done = run(str(folder), *options, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["negative"] == {"name": "star", "label": "star", "support": 3, "groups": 0}
    assert [one["label"] for one in report["classes"]] == ["chessboard", "polka dots", "rings", "stripes"]
    missing, leaking = report["notices"]
    assert "'missing.png'" in missing
    assert leaking.startswith("1 of 4 query images")
    table = run(str(folder), *options).stdout
    assert "   3 support    0 groups    0 query   (negative: no class)" in table


@pytest.mark.slow
@pytest.mark.services
def test_groups_that_cannot_be_read_are_a_problem(folder: Path, tmp_path: Path) -> None:
    done = run(str(folder), "--groups", str(tmp_path / "nowhere.csv"), "--json")
    assert done.returncode == 2
    assert [problem["code"] for problem in json.loads(done.stdout)["problems"]] == ["groups.invalid"]


def test_of_a_folder_that_is_not_there_nothing_is_counted(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["adapt", str(tmp_path / "nowhere"), "--dry-run"])
    assert ended.exit_code == 2
    assert (ended.stdout, "archive.bad_source" in ended.stderr) == ("", True)


def test_one_class_is_not_several(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted(path.name for path in folder.iterdir())[1:]:
        shutil.rmtree(folder / name)
    write_dry_run(survey_images(folder, shot=1, query=0), TEMPLATE, as_json=False)
    assert "1 class, 1 support image, 0 query images; nothing was trained" in capsys.readouterr().out
