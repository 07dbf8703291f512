"""Plot the results of `vtt bench growth`, `vtt bench load`, `vtt bench episodes` and `vtt bench expected`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtt_core.contract.errors import InputError
from vtt_core.contract.extras import install_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from app.cli.bench.process_memory import Sample
    from vtt_core.bench.episodes.expected import ExpectedLine
    from vtt_core.bench.speed.growth import Curve


FEW_LINES = 4
"""Lines whose names have room inside a plot."""


def plot_file(title: str) -> str:
    """Return the name of a curve's file."""
    return f"growth-{title.replace(' ', '-')}.png"


def plot_curve(curve: Curve, folder: Path) -> None:
    """Write the plot of a curve into the folder, which is created if it is missing.

    Raises:
        InputError: matplotlib, which only this command needs, is not installed.
    """
    has_many = len(curve.milliseconds) > FEW_LINES
    figure = new_figure(9, 5) if has_many else new_figure()
    axes = figure.subplots()
    for place, (name, milliseconds) in enumerate(curve.milliseconds.items()):
        # There are ten colours.
        axes.plot(curve.x, milliseconds, marker="o", linestyle="-" if place < 10 else "--", label=name)  # noqa: PLR2004
    is_wide = curve.x[-1] / curve.x[0] > 20
    axes.set_xscale("log" if is_wide else "linear")
    axes.set_xticks(curve.x, [str(value) for value in curve.x])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(curve.quantity)
    axes.set_ylabel("milliseconds, median")
    axes.grid(alpha=0.3)
    if has_many:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    else:
        axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / plot_file(curve.title))


def plot_memory(samples: Sequence[Sample], file: Path) -> None:
    """Write a plot of the memory of each process over time.

    Raises:
        InputError: matplotlib, which only this command needs, is not installed.
    """
    figure = new_figure()
    axes = figure.subplots()
    for name in sorted({name for _, megabytes in samples for name in megabytes}):
        taken = [(seconds / 60, megabytes[name]) for seconds, megabytes in samples if name in megabytes]
        axes.plot([minutes for minutes, _ in taken], [value for _, value in taken], label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident MB")
    axes.grid(alpha=0.3)
    axes.legend(loc="center right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def plot_methods(methods: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Write a plot of the mean accuracy of each method with its 95 % interval.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = new_figure()
    axes = figure.subplots()
    places = range(len(methods))
    means = [100 * figures["mean"] for figures in methods.values()]
    half_widths = [100 * (figures["ci95"] or 0.0) for figures in methods.values()]
    axes.errorbar(means, places, xerr=half_widths, fmt="o", capsize=4)
    axes.set_yticks(places, list(methods))
    axes.invert_yaxis()
    axes.margins(y=0.15)
    axes.set_xlabel("accuracy in percent, 95 % interval")
    axes.grid(alpha=0.3, axis="x")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def plot_expected(by_method: Mapping[str, Sequence[ExpectedLine]], file: Path) -> None:
    """Write a plot with a point for each episode: the accuracy that a method expected, and the real one.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = new_figure(5, 5)
    axes = figure.subplots()
    for method, lines in by_method.items():
        real, expected = [100 * line.real for line in lines], [100 * line.expected for line in lines]
        axes.scatter(expected, real, s=12, alpha=0.5, label=method)
    axes.plot((0, 100), (0, 100), color="grey", linewidth=1)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xlabel("expected accuracy in percent")
    axes.set_ylabel("accuracy on the queries in percent")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def new_figure(width_inches: float = 6, height_inches: float = 3.6) -> Figure:
    """Return an empty figure.

    Raises:
        InputError: matplotlib, which only commands that draw need, is not installed.
    """
    try:
        # An extra, which only these commands need.
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise InputError(expected="matplotlib", got="none installed", remedy=install_extra("plots")) from error
    return Figure(figsize=(width_inches, height_inches), dpi=100, layout="constrained")
