"""The command that measures `mini` and writes its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vtt_core.bench.pretraining import card

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(train_mini: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a training ended in."""
    monkeypatch.setattr(card, "MODEL_FILE", tmp_path / "small.json")
    train_mini(tmp_path / "out", "--epochs", "2", "--save-every", "2")
    return tmp_path / "out"


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    """Five colours, each with images of three patients."""
    for hue in range(5):
        folder = tmp_path / "chestx" / f"hue{hue}"
        folder.mkdir(parents=True)
        for number in range(60):
            shade = (hue * 50 + number % 7, 250 - hue * 50, 100 + number % 11)
            Image.new("RGB", (32, 32), shade).save(folder / f"{hue}{number // 3}_{number}.png")
    return tmp_path / "chestx"


def test_the_card_states_what_was_measured(
    trained: Path, tiny_zip: Path, domain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card.main(["--out", str(trained), "--data", str(tiny_zip), "--domains", str(domain), "--device", "cpu"])
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads((trained / "figures.json").read_text())
    assert figures["zero_shot"]["images"] == 12
    probes = figures["linear_probe"]
    assert probes["chestx"]["accuracy"] > probes["chestx, by patient"]["accuracy"] > 0.3
    text = (trained / "CARD.md").read_text()
    assert figures["sha256"] in text
    assert f"| chestx | {100 * probes['chestx']['accuracy']:.1f} ± " in text
    with Image.open(trained / "training.png") as picture:
        assert picture.width == 700


def test_weights_can_be_measured_alone(trained: Path, tiny_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = trained / "weights.safetensors"
    card.main(["--weights", str(weights), "--data", str(tiny_zip), "--images-per-class", "2", "--device", "cpu"])
    assert json.loads(capsys.readouterr().out)["zero_shot"]["images"] == 6
    assert not (trained / "CARD.md").exists()
    with pytest.raises(SystemExit):
        card.main(["--data", str(tiny_zip)])
