"""The command that trains `mini`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vtt_core.backbones.mini.model import build_mini

pytestmark = [pytest.mark.usefixtures("small_towers"), pytest.mark.slow]
TrainMini = Callable[..., None]


def test_a_stopped_run_goes_on_to_the_bytes_of_an_undisturbed_one(train_mini: TrainMini, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_mini(whole, "--epochs", "1.1", "--save-every", "1")
    train_mini(parts, "--epochs", "0.3", "--stage", "images", "--save-every", "1")
    assert not (parts / "weights.safetensors").exists()
    train_mini(parts, "--epochs", "1.1", "--stage", "text")
    with (parts / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"step": 99, "loss": 0.0}\n')  # of a run that was killed between log and checkpoint
    train_mini(parts, "--epochs", "1.1", "--save-every", "1")
    for name in ("weights.safetensors", "text.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    steps = [json.loads(line)["step"] for line in (parts / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    assert not list(tmp_path.glob("*/*.partial"))


def test_the_weights_are_those_of_both_stages_in_half_precision(train_mini: TrainMini, tmp_path: Path) -> None:
    train_mini(tmp_path / "out", "--epochs", "1.1")
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert weights["logit_scale"].exp().item() == pytest.approx(100, rel=1e-2)
    taught = load_file(tmp_path / "out" / "text.safetensors")
    assert all(torch.equal(weights[name], value.half()) for name, value in taught.items())
    build_mini().load_state_dict(weights)


def test_a_run_that_is_too_short_for_all_blocks_says_so(
    train_mini: TrainMini, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_mini(tmp_path / "short", "--epochs", "0.3", "--stage", "images")
    assert "Only 1 of 2 vision blocks learn in 1 steps; all do from step 2 on" in capsys.readouterr().err
    train_mini(tmp_path / "long", "--epochs", "1.1", "--stage", "images")
    assert "Only" not in capsys.readouterr().err


def test_zips_without_validation_images_are_enough_to_train(train_mini: TrainMini, tiny_zip: Path, tmp_path: Path) -> None:
    training_only = tmp_path / "training.zip"
    with zipfile.ZipFile(tiny_zip) as whole, zipfile.ZipFile(training_only, "w") as part:
        for name in whole.namelist():
            if not name.startswith("val/"):
                part.writestr(name, whole.read(name))
    train_mini(tmp_path / "out", "--data", str(training_only), "--epochs", "1", "--save-every", "1")
    lines = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [set(line) for line in lines] == [{"step", "images", "loss"}] * 4
