import sys
from pathlib import Path

import pytest
from PIL import Image

from app.cli.bench.plots import plot_curve, plot_file, plot_memory, plot_methods
from vtt_core.bench.speed.growth import Curve
from vtt_core.contract.errors import InputError

CURVE = Curve("image size", "side in pixels", (32, 48, 96), {"fast": [1.0, 2.0, 5.0], "floor": [1.0, 1.5, 4.0]})


def test_a_curve_becomes_a_picture(tmp_path: Path) -> None:
    plot_curve(CURVE, tmp_path / "plots")
    with Image.open(tmp_path / "plots" / plot_file("image size")) as picture:
        assert picture.size == (600, 360)
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_memory_becomes_a_picture(tmp_path: Path) -> None:
    plot_memory([(0.0, {"api": 600.0}), (60.0, {"api": 610.0, "worker": 900.0})], tmp_path / "plots" / "memory.png")
    with Image.open(tmp_path / "plots" / "memory.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_methods_become_a_picture_also_without_an_interval(tmp_path: Path) -> None:
    methods = {"zero-shot": {"mean": 0.3, "ci95": None}, "clip-lora+vtt": {"mean": 0.7, "ci95": 0.02}}
    plot_methods(methods, tmp_path / "plots" / "plot.png")
    with Image.open(tmp_path / "plots" / "plot.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="matplotlib"):
        plot_curve(CURVE, tmp_path)
