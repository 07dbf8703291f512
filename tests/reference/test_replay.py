"""The method reproduces recorded values: the project's own always, the released implementation's where they lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.reference.replay import TOLERANCE, main, replay

OWN_RECORDING = Path(__file__).parent / "own"
RELEASED_RECORDING = Path(__file__).parents[3] / "shared" / "reference"


def test_own_recording_is_reproduced() -> None:
    too_large = {quantity: error for quantity, error in replay(OWN_RECORDING) if error > TOLERANCE}
    assert too_large == {}


def test_own_recording_switches_absorption_off_before_its_end() -> None:
    scalars = json.loads((OWN_RECORDING / "reference_values.json").read_text(encoding="utf-8"))["switches_off"]
    assert scalars["beta_after_step"][-1] == -1
    assert len(scalars["beta_after_step"]) < scalars["iterations"]


@pytest.mark.slow
def test_released_recording_is_reproduced() -> None:
    if not RELEASED_RECORDING.is_dir():
        pytest.skip(f"recorded values of the released code are not at {RELEASED_RECORDING}")
    too_large = {quantity: error for quantity, error in replay(RELEASED_RECORDING) if error > TOLERANCE}
    assert too_large == {}


def test_a_changed_value_fails_the_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OWN_RECORDING, tmp_path / "changed")
    values_file = tmp_path / "changed" / "reference_values.safetensors"
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
