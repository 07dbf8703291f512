"""Plot a fine-tuning with VtT: the sequence, the scan, the absorption and the conflict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from app.cli.bench.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from vtt_core.bench.diagnostics.training_run import TrainingRun
    from vtt_core.contract.progress import StepReport

LONGEST_LABEL = 24
"""Characters of a class label beside a picture."""


def plot_run(run: TrainingRun, file: Path) -> None:
    """Write a picture with four panels.

    Raises:
        InputError: matplotlib, which only drawing needs, is not installed.
    """
    figure = new_figure(11, 9)
    (sequence, scan), (absorption, conflict) = figure.subplots(2, 2)
    _plot_sequence(figure, sequence, run.before.likeness_SS)
    _plot_scan(scan, run)
    _plot_absorption(figure, absorption, run)
    _plot_conflict(conflict, run.steps)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _plot_sequence(figure: Figure, axes: Axes, likeness_SS: Tensor) -> None:
    drawn = axes.imshow(likeness_SS.numpy(), cmap="viridis", vmax=1)
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    axes.set_title("1 sequence: cosine of what\ntwo steps read, before")
    axes.set_xlabel("scan step")
    axes.set_ylabel("scan step")


def _plot_scan(axes: Axes, run: TrainingRun) -> None:
    for name, seen in (("before", run.before), ("after", run.after)):
        axes.plot(range(len(seen.influence_S)), (100 * seen.influence_S).numpy(), marker="o", markersize=3, label=name)
    axes.set_title("2 scan: share of each step in\nthe fused vector's change, %")
    axes.set_xlabel("scan step; the deepest layers come first")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _plot_absorption(figure: Figure, axes: Axes, run: TrainingRun) -> None:
    drawn = axes.imshow(run.after.agreement_CC.numpy(), cmap="viridis")
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    # A dollar sign would begin a formula.
    names = [shorten(label, LONGEST_LABEL, placeholder=" ...").replace("$", r"\$") for label in run.labels]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_title("3 absorption: cosine with\nthe class prompts, after")
    axes.set_xlabel("prompt of the class")
    axes.set_ylabel("absorbed text of images of")


def _plot_conflict(axes: Axes, steps: Sequence[StepReport]) -> None:
    known = [(report.step, report.conflict_cosine) for report in steps if report.conflict_cosine is not None]
    axes.plot(*zip(*known, strict=True), color="tab:green", label="cosine of the gradients")
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    axes.set_title("4 conflict: cosine of combined\nand classification gradient")
    axes.set_xlabel("optimiser step")
    axes.set_ylim(-1, 1)
    losses = axes.twinx()
    losses.plot([one.step for one in steps], [one.classification_loss for one in steps], color="tab:blue", alpha=0.6)
    losses.set_ylabel("classification loss", color="tab:blue")
    stopped = steps[-1].absorption_stopped_at
    if stopped is not None:
        axes.axvline(stopped, color="tab:red", linewidth=1, label=f"absorption off at step {stopped}")
    axes.legend(loc="lower left", fontsize="small")
