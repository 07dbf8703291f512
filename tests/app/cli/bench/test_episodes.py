"""`vtt bench episodes` as a user calls it: results, going on after a kill, and what is refused."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.cli.bench.episodes import EpisodesRequest, episodes, write_results
from tests.fixtures.waiting import wait_until
from vtt_core.contract.errors import InputError

CLASSES = ("annual_crop", "river", "forest")
ARGUMENTS = ("--way", "3", "--shot", "2", "--query", "2", "--seed", "1", "--threads", "1")
METHODS = "zero-shot,linear-probe,clip-lora,clip-lora+vtt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for number in range(6):
            image = Image.new("RGB", (40, 40), (60 * index, 20 * number, 200 - 60 * index))
            image.save(folder / name / f"{number}_0.png")
    return folder


def command(data: Path, *arguments: str) -> list[str]:
    options = ["--data", str(data), "--backbone", "tests/fixtures/tiny_clip.json", *ARGUMENTS, *arguments]
    return [sys.executable, "-m", "app.cli.main", "bench", "episodes", *options]


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(data, *arguments), capture_output=True, text=True, timeout=240, check=False)


def without_seconds(folder: Path) -> dict[str, Any]:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for figures in result["methods"].values():
        assert figures.pop("seconds_per_episode") > 0
    return dict(result)


@pytest.mark.services
@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_result(data: Path, tmp_path: Path) -> None:
    arguments = ("--episodes", "16", "--methods", METHODS, "--iterations", "8")
    undisturbed = run(data, *arguments, "--out", str(tmp_path / "whole"), "--json")
    assert undisturbed.returncode == 0, undisturbed.stderr

    log = tmp_path / "killed" / "episodes.jsonl"
    with subprocess.Popen(command(data, *arguments, "--out", str(log.parent)), stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or (log.is_file() and log.read_bytes().count(b"\n") >= 6))
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    num_done = log.read_bytes().count(b"\n")
    assert 6 <= num_done < 64, "it must be killed in the middle"

    resumed = run(data, *arguments, "--out", str(log.parent))
    assert resumed.returncode == 0, resumed.stderr
    assert f"{num_done} of 64 done" in resumed.stderr
    assert log.read_bytes().count(b"\n") == 64
    assert without_seconds(log.parent) == without_seconds(tmp_path / "whole")

    printed = json.loads(undisturbed.stdout)
    assert list(printed["methods"]) == METHODS.split(",")
    for figures in printed["methods"].values():
        assert 0 <= figures["mean"] <= 1
        assert figures["ci95"] >= 0
    assert set(printed["paired"]["clip-lora+vtt minus clip-lora"]) == {"mean", "ci95"}
    assert printed["methods"]["clip-lora"]["recipe"]["iterations"] == 8
    assert printed["episodes"] == 16
    assert printed["data"]["classes"] == ["annual crop", "forest", "river"]
    assert "| clip-lora+vtt minus clip-lora |" in resumed.stdout
    with Image.open(tmp_path / "whole" / "plot.png") as picture:
        assert picture.width > 100


@pytest.mark.services
@pytest.mark.slow
def test_without_a_folder_the_same_command_finds_its_log_in_the_cache(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"river": "wide river"}), encoding="utf-8")
    arguments = ("--episodes", "2", "--methods", "zero-shot", "--names", str(names), "--by-patient", "--json")
    first = run(data, *arguments)
    assert first.returncode == 0, first.stderr
    again = run(data, *arguments)
    assert (tmp_path / "vtt-service" / "episodes").is_dir()
    assert "0 of 2 done" in first.stderr
    assert "2 of 2 done" in again.stderr
    assert again.stdout == first.stdout
    printed = json.loads(first.stdout)
    assert "wide river" in printed["data"]["classes"]
    assert printed["protocol"]["by_patient"] is True


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": "clip-lorra"}, "clip-lora"),
        ({"methods": "clip-lora:rnk=3"}, "rank"),
        ({"way": 9}, "9 classes of at least 20 images each"),
        ({"data": "/no/such.zip"}, "/no/such.zip"),
        ({"names": Path("/no/such.json")}, "/no/such.json"),
    ],
)
def test_what_cannot_be_used_is_refused(data: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        episodes(**{"data": str(data), "backbone": "tests/fixtures/tiny_clip.json", "out": tmp_path, **change})


@pytest.mark.services
@pytest.mark.slow
def test_an_unknown_method_ends_with_code_2(data: Path) -> None:
    result = run(data, "--methods", "clip-lorra")
    assert result.returncode == 2
    assert "clip-lora" in result.stderr


def test_the_folder_of_a_request_depends_on_every_argument() -> None:
    values: dict[str, Any] = {
        "data": "/d",
        "names": None,
        "backbone": "mini",
        "way": 5,
        "shot": 5,
        "query": 15,
        "episodes": 50,
        "methods": "zero-shot",
        "seed": 1,
        "by_patient": False,
        "iterations": None,
        "device": "cpu",
        "threads": 1,
    }
    folders = {EpisodesRequest(**values).cache_folder}
    for name, value in values.items():
        other = f"{value}2" if isinstance(value, str) else 7 if value is None else value + 1
        folders.add(EpisodesRequest(**{**values, name: other}).cache_folder)
    assert len(folders) == len(values) + 1


def test_without_matplotlib_there_is_no_plot_and_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = {
        "methods": {"zero-shot": {"mean": 0.5, "ci95": None, "seconds_per_episode": 1.0}},
        "episodes": 1,
        "protocol": {"way": 5, "shot": 5, "num_queries": 15, "seed": 1, "by_patient": False},
        "backbone": {"id": "mini", "sha256": "ab"},
        "data": {"sha256": "cd"},
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2"},
    }
    write_results(result, tmp_path)
    assert "matplotlib" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["result.json", "result.md"]
