"""`vtt bench growth`: plot how the cost grows."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.bench.common import (
    JsonOption,
    ThreadsOption,
    conditions,
    use_threads,
)
from app.cli.bench.plots import plot_curve, plot_file
from app.cli.console import stderr_console, write_json


def growth(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the plots.")],
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds at each point.")] = 5,
    points: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Points of each curve, the smallest ones; all without it.")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plot how the cost grows with way, shot, image size, depth and the number of adapters."""
    import torch  # noqa: PLC0415  (see load_for_bench)

    from vtt_core.bench.speed.growth import measure_growth  # noqa: PLC0415

    num_threads = use_threads(threads)
    curves = []
    with tempfile.TemporaryDirectory() as folder:
        for curve in measure_growth(
            Path(folder), repeats=repeats, num_threads=num_threads, stopwatch=time.perf_counter, num_points=points
        ):
            plot_curve(curve, out)
            curves.append(asdict(curve))
            stderr_console().print(f"{curve.title}: {plot_file(curve.title)}", markup=False)
    if as_json:
        write_json(conditions(torch, num_threads) | {"repeats": repeats, "curves": curves})
