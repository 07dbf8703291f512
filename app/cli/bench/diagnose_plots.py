"""Plot the results of `vtt diagnose`: gains by text layer, and attention maps of the class token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from app.cli.bench.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

INCHES_PER_IMAGE = 2.2
STATE_OFFSET = 0.12
"""Layers between two states' points, so that their intervals can be told apart."""


@dataclass(frozen=True)
class AttentionRow:
    """One image with its two maps."""

    image: Image.Image
    """As the backbone sees it, before its values are normalised."""
    before_GG: Tensor
    after_GG: Tensor


def plot_lost_layers(result: Mapping[str, Any], file: Path) -> None:
    """Write a picture of the gain in accuracy by the text layer that is removed, and by the one that is emphasised.

    Raises:
        InputError: matplotlib, which only drawing needs, is not installed.
    """
    figure = new_figure(10, 4)
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"removed": "layer removed", "emphasised": f"layer emphasised by {result['weight']:g}"}
    for axes, (kind, title) in zip(panels, titles.items(), strict=True):
        for number, (state, found) in enumerate(result["states"].items()):
            label = f"{state}: full {100 * found['full']['accuracy']:.1f} %"
            _plot_gains(axes, found[kind], label, number * STATE_OFFSET)
        axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(title)
        axes.set_xlabel("text layer")
        axes.set_xticks(range(1, result["text_layers"] + 1))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy minus the full tower's,\npercentage points, 95 % interval")
    panels[0].legend(fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _plot_gains(axes: Axes, rows: Sequence[Mapping[str, Any]], label: str, offset: float) -> None:
    layers = [row["layer"] + offset for row in rows]
    gains, half_widths = [100 * row["gain"] for row in rows], [100 * row["ci95"] for row in rows]
    axes.errorbar(layers, gains, yerr=half_widths, marker="o", markersize=4, capsize=2, linewidth=1, label=label)


def plot_attention(rows: Sequence[AttentionRow], file: Path) -> None:
    """Write a picture with a row for each image: the image, its map before, its map after; both maps on one scale.

    Raises:
        InputError: matplotlib, which only drawing needs, is not installed.
    """
    figure = new_figure(3 * INCHES_PER_IMAGE, len(rows) * INCHES_PER_IMAGE + 0.3)
    panels = figure.subplots(len(rows), 3, squeeze=False)
    for place, title in enumerate(("image", "before", "after")):
        panels[0, place].set_title(title)
    for (plain, before, after), row in zip(panels, rows, strict=True):
        plain.imshow(row.image)
        highest = float(max(row.before_GG.max(), row.after_GG.max()))
        for axes, map_GG in ((before, row.before_GG), (after, row.after_GG)):
            width, height = row.image.size
            axes.imshow(row.image.convert("L"), cmap="gray")
            extent = (-0.5, width - 0.5, height - 0.5, -0.5)
            axes.imshow(map_GG.cpu().numpy(), cmap="inferno", alpha=0.6, vmin=0, vmax=highest, extent=extent)
    for axes in panels.flat:
        axes.set_axis_off()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png")


def check_matplotlib() -> None:
    """Refuse to start a run whose plot could not be drawn.

    Raises:
        InputError: matplotlib is not installed.
    """
    new_figure(1, 1)
