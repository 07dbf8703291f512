"""The command that trains and measures `mini`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from vtt_core.backbones.mini import pretrain
from vtt_core.backbones.mini.pretrain import main
from vtt_core.backbones.mini.recipe import PretrainRecipe

pytestmark = pytest.mark.usefixtures("small_towers")


@pytest.fixture(autouse=True)
def _small_first_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first stage of three steps, taught by random directions: the sentence encoder is no dependency of the tests."""

    def directions(phrases: list[str], joint_size: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(len(phrases))
        return torch.nn.functional.normalize(torch.randn(len(phrases), joint_size, generator=generator), dim=-1)

    monkeypatch.setattr(pretrain, "teacher_features", directions)
    small = partial(PretrainRecipe, text_steps=3, text_batch_size=8, num_words=20, num_pairs=5)
    monkeypatch.setattr(pretrain, "PretrainRecipe", small)


def options(tiny_zip: Path, *more: str) -> list[str]:
    return ["--data", str(tiny_zip), "--batch-size", "16", "--threads", str(torch.get_num_threads()), *more]


def test_it_trains_goes_on_and_measures(tiny_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    main(options(tiny_zip, "--out", whole, "--epochs", "1.1", "--save-every", "1"))
    main(options(tiny_zip, "--out", parts, "--epochs", "0"))
    main(options(tiny_zip, "--out", parts, "--epochs", "1.1"))
    weights = tmp_path / "whole" / "weights.safetensors"
    assert weights.read_bytes() == (tmp_path / "parts" / "weights.safetensors").read_bytes()
    assert not list(tmp_path.glob("*/*.partial"))
    assert "60 images of 3 classes" in capsys.readouterr().err
    main(options(tiny_zip, "--evaluate", str(weights)))
    answer = json.loads(capsys.readouterr().out)
    assert (answer["way"], answer["images"]) == (3, 12)
    assert answer["zero_shot_top1"] == answer["correct"] / 12


def test_training_without_a_folder_is_refused(tiny_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(options(tiny_zip))
    assert stop.value.code == 2
    assert "--out is needed" in capsys.readouterr().err
