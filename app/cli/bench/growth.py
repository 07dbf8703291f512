"""`vtt bench growth`: plot how the cost grows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.bench.common import (
    JsonOption,
    ThreadsOption,
    conditions,
    use_threads,
)
from app.cli.bench.plots import plot_curve, plot_file
from app.cli.console import stderr_console, write_json
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from vtt_core.bench.speed.growth import Curve

LISTS = "lists"
SETS = "image sets"


def growth(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the plots.")],
    only: Annotated[
        str | None, typer.Option(metavar="CURVE,CURVE...", help="Curves to measure, such as `way,lists`; all without it.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Empty database for `lists`, which is filled and emptied; without it, SQLite."),
    ] = None,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds at each point.")] = 5,
    points: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Points of each curve, the smallest ones; all without it.")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plot how the cost grows: with way, shot, image size and depth, and with adapters, rows and image sets that are stored.

    `lists` are the lists, sweeps and counts of a database with up to a million rows in each table: five gigabytes.
    """
    import torch  # noqa: PLC0415  (see load_for_bench)

    num_threads = use_threads(threads)
    curves = []
    with tempfile.TemporaryDirectory() as folder:
        measures = _measures(Path(folder), database, repeats, points, num_threads)
        for title in _chosen(only, list(measures)):
            for curve in measures[title]():
                plot_curve(curve, out)
                curves.append(asdict(curve))
                stderr_console().print(f"{curve.title}: {plot_file(curve.title)}", markup=False)
                if not as_json:
                    _write_table(curve)
    if as_json:
        write_json(conditions(torch, num_threads) | {"repeats": repeats, "curves": curves})


def _measures(
    folder: Path, database: str | None, repeats: int, points: int | None, num_threads: int
) -> dict[str, Callable[[], Iterator[Curve]]]:
    from app.cli.bench.growth_lists import measure_lists  # noqa: PLC0415
    from app.cli.bench.growth_sets import measure_sets  # noqa: PLC0415
    from vtt_core.bench.speed.growth import training_and_serving  # noqa: PLC0415

    def alone(measure: Callable[[], Curve]) -> Callable[[], Iterator[Curve]]:
        return lambda: iter([measure()])

    stopwatch = time.perf_counter
    url = database or f"sqlite:///{folder / 'rows.sqlite'}"
    of_method = training_and_serving(folder, repeats=repeats, num_threads=num_threads, stopwatch=stopwatch, num_points=points)
    return {
        **{title: alone(measure) for title, measure in of_method.items()},
        LISTS: lambda: measure_lists(url, repeats=repeats, stopwatch=stopwatch, num_points=points),
        SETS: alone(lambda: measure_sets(folder / "sets", repeats=repeats, stopwatch=stopwatch, num_points=points)),
    }


def _chosen(only: str | None, known: list[str]) -> list[str]:
    chosen = known if only is None else [part.strip() for part in only.split(",")]
    for title in chosen:
        if title not in known:
            raise InputError(expected=f"curves of {', '.join(known)}", got=repr(title), remedy="Correct --only")
    return chosen


def _write_table(curve: Curve) -> None:
    """Print the curve as numbers, in the form of Markdown."""
    names = list(curve.milliseconds)
    lines = [["milliseconds", *(f"{value:,}" for value in curve.x)], ["---"] * (1 + len(curve.x))]
    lines += [
        [name, *(f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in curve.milliseconds[name])] for name in names
    ]  # noqa: PLR2004
    typer.echo(f"\n{curve.title}, by {curve.quantity}\n")
    for cells in lines:
        typer.echo(f"| {' | '.join(cells)} |")
