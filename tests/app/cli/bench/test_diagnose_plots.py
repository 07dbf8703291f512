import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from app.cli.bench.diagnose_plots import AttentionRow, check_matplotlib, plot_attention, plot_lost_layers
from vtt_core.contract.errors import InputError

RESULT: dict[str, Any] = {
    "weight": 1.5,
    "text_layers": 2,
    "states": {
        state: {
            "full": {"accuracy": 0.3, "ci95": 0.01},
            "removed": [{"layer": layer, "gain": 0.01 * layer, "ci95": 0.02} for layer in (1, 2)],
            "emphasised": [{"layer": layer, "gain": -0.01 * layer, "ci95": 0.02} for layer in (1, 2)],
        }
        for state in ("before", "clip-lora+vtt")
    },
}


def num_colours(file: Path, box: tuple[int, int, int, int] | None = None) -> int:
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        return len(picture.convert("RGB").crop(box).getcolors(1 << 20) or [])


@pytest.mark.slow
def test_gains_become_a_picture(tmp_path: Path) -> None:
    plot_lost_layers(RESULT, tmp_path / "plots" / "lost-layers.png")
    with Image.open(tmp_path / "plots" / "lost-layers.png") as picture:
        assert picture.size == (1000, 400)
    assert num_colours(tmp_path / "plots" / "lost-layers.png") > 10


@pytest.mark.slow
def test_maps_become_a_picture_with_a_row_for_each_image(tmp_path: Path) -> None:
    row = AttentionRow(Image.new("RGB", (32, 32), (200, 40, 40)), torch.rand(4, 4), torch.rand(4, 4))
    for rows, file in (([row], tmp_path / "one.png"), ([row, row], tmp_path / "maps" / "two")):
        plot_attention(rows, file)
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "maps" / "two") as two:
        assert one.width == two.width
        assert two.height > 1.5 * one.height
    assert num_colours(tmp_path / "one.png") > 20


def test_both_maps_of_an_image_share_a_scale(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32))
    plot_attention([AttentionRow(image, torch.full((4, 4), 0.1), torch.full((4, 4), 0.9))], tmp_path / "maps.png")
    with Image.open(tmp_path / "maps.png") as picture:
        before, after = (picture.convert("L").getpixel((picture.width * place // 6, picture.height // 2)) for place in (3, 5))
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert before < after


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_matplotlib()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="plots"):
        check_matplotlib()
