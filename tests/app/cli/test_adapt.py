import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.drawn_images import draw_folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_folders(folder, num_images=4)
    (folder / "rings" / "000.png").write_bytes(b"not an image")
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["clip-lora", "clip-lora+vtt", "coop+vtt@paper:num_context_tokens=4"])
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
        "iterations",
        "absorption_stopped_at",
        "adapter_bytes",
        "classes",
    ]
    assert report["classes"] == ["chessboard", "polka dots", "rings", "star", "stripes"]
    assert report["iterations"] == 3
    assert report["adapter_bytes"] == sum(file.stat().st_size for file in out.iterdir())
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


@pytest.mark.slow
def test_without_query_images_nothing_is_measured(folder: Path, tmp_path: Path) -> None:
    result = run("adapt", str(folder), "--shot", "1", "--query", "0", "--iterations", "1", "--out", str(tmp_path), "--json")
    report = json.loads(result.stdout)
    assert (report["accuracy"], report["ci95"], report["zero_shot_accuracy"]) == (None, None, None)
