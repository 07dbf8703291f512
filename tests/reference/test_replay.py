"""The method reproduces the values that were recorded from the released code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.reference.recording import SCALARS_FILE, VALUES_FILE, Recording, read_recording
from tests.reference.replay import FAST, PLAIN, TOLERANCE, main, replay, replay_trajectory

RELEASED = Path(__file__).parent / "released"


@pytest.fixture(scope="module")
def released() -> Recording:
    return read_recording(RELEASED)


@pytest.fixture(scope="module")
def parts_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released recording without its fine-tunings, which take most of the time."""
    folder = tmp_path_factory.mktemp("parts") / "recording"
    shutil.copytree(RELEASED, folder)
    scalars = json.loads((folder / SCALARS_FILE).read_text(encoding="utf-8"))
    short = {name: value for name, value in scalars.items() if "iterations" not in value}
    (folder / SCALARS_FILE).write_text(json.dumps(short), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_features_fusion_absorption_and_projection_are_reproduced(parts_alone: Path) -> None:
    errors = dict(replay(parts_alone))
    assert len(errors) > 40
    assert {quantity: error for quantity, error in errors.items() if error > TOLERANCE} == {}


@pytest.mark.slow
@pytest.mark.parametrize("path", [PLAIN, FAST])
@pytest.mark.parametrize("name", ["one_shot", "five_shot", "deactivates"])
def test_every_step_of_a_finetuning_is_reproduced(name: str, path: str, released: Recording) -> None:
    errors = dict(replay_trajectory(released, name, path))
    assert len(errors) > 80
    assert {quantity: error for quantity, error in errors.items() if error > TOLERANCE} == {}


@pytest.mark.slow
def test_a_changed_value_fails_the_replay(parts_alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(parts_alone, tmp_path / "changed")
    values_file = tmp_path / "changed" / VALUES_FILE
    values = load_file(values_file)
    values["features.image_final"] = values["features.image_final"] + torch.tensor(1e-6, dtype=torch.float64)
    save_file(values, values_file)
    assert main([str(tmp_path / "changed")]) == 1
    output = capsys.readouterr().out
    assert "features.image_final" in output
    assert "TOO LARGE" in output


def test_a_missing_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/nowhere/at/all"]) == 2
    assert "/nowhere/at/all" in capsys.readouterr().err
