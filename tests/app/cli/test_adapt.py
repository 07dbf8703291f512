import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.adapter_folder import ADAPTER_FILES, check_no_adapter
from app.cli.synthetic_images import write_folders
from app.domain.errors import AdapterExistsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_folders(folder, num_images=4)
    (folder / "rings" / "000.png").write_bytes(b"not an image")
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("method", ["clip-lora+vtt", "coop+vtt@paper:num_context_tokens=4"])
def test_a_folder_becomes_an_adapter_that_predicts(folder: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "adapter"
    options = ["--shot", "2", "--query", "1", "--iterations", "3", "--method", method, "--out", str(out), "--json"]
    result = run("adapt", str(folder), *options)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert list(report) == [
        "accuracy",
        "ci95",
        "zero_shot_accuracy",
        "seconds",
        "tower",
        "iterations",
        "absorption_stopped_at",
        "adapter_bytes",
        "classes",
        "metrics",
        "advice",
        "notices",
    ]
    assert (report["advice"], report["notices"]) == ([], [])
    assert report["classes"] == ["chessboard", "polka dots", "rings", "star", "stripes"]
    assert report["iterations"] == 3
    assert report["adapter_bytes"] == sum((out / name).stat().st_size for name in ADAPTER_FILES)
    assert 0 <= report["accuracy"] <= 1
    assert 0 <= report["zero_shot_accuracy"] <= 1
    assert 0 < report["ci95"] < 0.5
    assert "classification loss" in result.stderr
    assert "left out rings/000.png" in result.stderr

    predicted = run("predict", str(out), str(folder / "star" / "003.png"), str(folder / "rings" / "000.png"), "--json")
    assert predicted.returncode == 2
    good, bad = json.loads(predicted.stdout)["predictions"]
    assert set(good["probabilities"]) == set(report["classes"])
    assert sum(good["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert list(good["probabilities"].values()) == sorted(good["probabilities"].values(), reverse=True)
    assert bad["error"]["code"] == "image.not_an_image"


@pytest.mark.services
@pytest.mark.slow
def test_without_query_images_nothing_is_measured(folder: Path, tmp_path: Path) -> None:
    result = run("adapt", str(folder), "--shot", "1", "--query", "0", "--iterations", "1", "--out", str(tmp_path), "--json")
    report = json.loads(result.stdout)
    assert (report["accuracy"], report["ci95"], report["zero_shot_accuracy"]) == (None, None, None)


@pytest.mark.slow
@pytest.mark.services
def test_an_adapter_that_is_there_stops_the_command_before_it_trains(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    result = run("adapt", str(folder), "--shot", "1", "--iterations", "1", "--out", str(tmp_path))
    assert result.returncode == 2
    assert "adapter.exists" in result.stderr
    assert "--force" in result.stderr
    assert (tmp_path / "manifest.json").read_text() == "mine"
    assert not (tmp_path / "adapter.safetensors").exists()


@pytest.mark.services
@pytest.mark.slow
def test_force_writes_over_the_adapter_and_over_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    arguments = ["--shot", "1", "--query", "0", "--iterations", "1", "--out", str(tmp_path), "--force"]
    result = run("adapt", str(folder), *arguments)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "manifest.json").read_text())["labels"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_without_an_adapter_may_hold_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    check_no_adapter(tmp_path)
    check_no_adapter(tmp_path / "new")
    with pytest.raises(AdapterExistsError, match="the file"):
        check_no_adapter(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ADAPTER_FILES)
def test_half_an_adapter_counts_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(AdapterExistsError, match=name):
        check_no_adapter(tmp_path)


def test_the_files_of_an_adapter_are_those_that_the_method_writes() -> None:
    from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE

    assert ADAPTER_FILES == (MANIFEST_FILE, TENSORS_FILE)


@pytest.mark.slow
@pytest.mark.services
def test_without_a_folder_to_write_to_the_option_is_named(folder: Path) -> None:
    result = run("adapt", str(folder))
    assert result.returncode == 2
    assert "--out" in result.stderr


@pytest.mark.slow
@pytest.mark.services
def test_two_labels_that_read_the_same_stop_the_command(tmp_path: Path) -> None:
    write_folders(tmp_path / "drawn", num_images=1)
    (tmp_path / "drawn" / "rings").rename(tmp_path / "drawn" / "Star")
    result = run("adapt", str(tmp_path / "drawn"), "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "support_set.same_tokens" in result.stderr
    assert "'Star' and 'star'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_trained(
    options: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = run("adapt", str(folder), "--shot", "2", "--out", str(tmp_path / "file" / "adapter"), *options)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "file/adapter" in result.stderr
    assert "fine-tuning" not in result.stderr


@pytest.mark.slow
@pytest.mark.services
def test_a_dry_run_says_what_would_stop_it_and_still_shows_the_classes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ADAPTER_FILES[0]).write_bytes(b"")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    options = ["--shot", "2", "--backbone", "ViT-B-32/openai", "--out", str(tmp_path), "--json", "--dry-run"]
    result = run("adapt", str(folder), *options)
    printed = json.loads(result.stdout)
    assert result.returncode == 2
    assert {problem["code"] for problem in printed["problems"]} >= {"adapter.exists", "backbone.unavailable"}
    assert len(printed["classes"]) == 5
