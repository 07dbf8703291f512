import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.predict import in_words, read_image_file
from app.cli.synthetic_images import PAINTERS, make_image
from tests.fixtures.noise_images import encode, noise
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import save_adapter
from vtt_core.adapter.strip import frozen_adapter
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import NotAnImageError
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.serving import Prediction
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

LABELS = tuple(PAINTERS)[:3]


def draw(label: str, number: int) -> bytes:
    return encode(make_image(label, random.Random(f"{label}/{number}")), "PNG")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of three classes, an old one, and images."""
    folder = tmp_path_factory.mktemp("predict")
    classes = (SupportClass(label, tuple(SupportImage(f"{n}.png", draw(label, n)) for n in range(5))) for label in LABELS)
    backbone, recipe = load_backbone("mini", device="cpu"), make_recipe("frozen")
    save_adapter(Adaptation(backbone, SupportSet(tuple(classes)), recipe, 1).finish().adapter, folder / "adapter")
    save_adapter(frozen_adapter(backbone, LABELS, recipe, 1), folder / "old")
    (folder / "known.png").write_bytes(draw(LABELS[1], 99))
    (folder / "noise.png").write_bytes(encode(noise(side=(96, 96)), "PNG"))
    (folder / "black.png").write_bytes(encode(Image.new("RGB", (96, 96)), "PNG"))
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command in the folder and return what it prints."""
    monkeypatch.chdir(folder)

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, ["predict", *arguments])
        assert result.exit_code == code, result.output
        return result.output if code else result.stdout

    return run


def test_the_text_says_which_images_are_none_of_the_classes(run: Callable[..., str]) -> None:
    known, *strange = run("adapter", "known.png", "noise.png", "black.png").splitlines()
    assert known.startswith(f"known.png: {LABELS[1]} ")
    for line, name in zip(strange, ("noise", "black"), strict=True):
        assert line.startswith(f"{name}.png: none of these (likeliest: ")


def test_json_says_all_that_is_known(run: Callable[..., str]) -> None:
    known, strange = json.loads(run("adapter", "known.png", "noise.png", "--json"))["predictions"]
    assert set(known) == {"image", *Prediction.__annotations__}
    assert (known["none_of_these"], strange["none_of_these"]) == (False, True)
    assert (known["prediction_set"][0], known["coverage"], known["negative_probability"]) == (LABELS[1], 0.9, None)


@pytest.mark.slow
def test_options_are_those_of_the_service(run: Callable[..., str]) -> None:
    margins = []
    for share in ("0.001", "0.5"):
        [known] = json.loads(run("adapter", "known.png", "--coverage", "0.6", "--false-rejects", share, "--json"))[
            "predictions"
        ]
        assert known["coverage"] == 0.6
        margins.append(known["familiarity"])
    assert margins[0] > margins[1]


@pytest.mark.parametrize(
    ("option", "value"), [("--coverage", "0.4"), ("--coverage", "nan"), ("--false-rejects", "0"), ("--false-rejects", "nan")]
)
def test_a_share_out_of_range_is_refused(run: Callable[..., str], option: str, value: str) -> None:
    printed = run("adapter", "known.png", option, value, code=2)
    assert option in printed


@pytest.mark.slow
def test_an_old_adapter_knows_probabilities_alone(run: Callable[..., str]) -> None:
    [known] = json.loads(run("old", "noise.png", "--json"))["predictions"]
    assert sum(known.pop("probabilities").values()) == pytest.approx(1, abs=1e-4)
    assert set(known.values()) == {"noise.png", None}
    assert "none of these" not in run("old", "noise.png")


def test_a_set_of_several_classes_is_named() -> None:
    shares = {"cat": 0.5, "dog": 0.3, "cow": 0.15, "hen": 0.05}
    several = Prediction(shares, none_of_these=False, prediction_set=("cat", "dog"), coverage=0.9)
    assert in_words(asdict(several)) == "cat 50.0 %, dog 30.0 %, cow 15.0 %; may be cat or dog (90 % coverage)"
    all_of_seven = Prediction(shares, none_of_these=None, prediction_set=tuple("abcdefg"), coverage=12 / 13)
    assert in_words(asdict(all_of_seven)).endswith("; may be a, b, c, d, e or 2 more (92 % coverage)")
    one = Prediction(shares, none_of_these=False, prediction_set=("cat",), coverage=0.9)
    assert in_words(asdict(one)) == "cat 50.0 %, dog 30.0 %, cow 15.0 %"
    none = Prediction(shares, none_of_these=True, prediction_set=("cat", "dog"), coverage=0.9)
    assert in_words(asdict(none)) == "none of these (likeliest: cat 50.0 %)"


def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageError, match="none.png.*Check the path"):
        read_image_file(tmp_path / "none.png")
    with pytest.raises(NotAnImageError, match="too long.*Check the path"):
        read_image_file(tmp_path / ("x" * 5000))


def test_a_folder_is_not_an_image_but_may_hold_some(tmp_path: Path) -> None:
    (folder := tmp_path / "two words").mkdir()
    with pytest.raises(NotAnImageError, match=r"directory.*Name the images in it: '/.*/two words'/\*"):
        read_image_file(folder)


@pytest.mark.services
@pytest.mark.slow
def test_a_folder_that_is_no_adapter_ends_with_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli.main", "predict", str(tmp_path), "image.png"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 2
    assert "adapter.bad_format" in result.stderr
