"""`vtt bench jobs`: time whole fine-tunings."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.common import (
    BackboneOption,
    DeviceOption,
    JsonOption,
    ThreadsOption,
    conditions,
    load_for_bench,
    use_threads,
    write_ratios,
)
from app.cli.console import write_json


def jobs(
    backbone: BackboneOption = "mini",
    number: Annotated[int, typer.Option(metavar="N", min=1, help="Jobs.")] = 8,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of each.")] = 250,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    shot: Annotated[int, typer.Option(metavar="N", min=1, help="Images a class.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 3,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time whole fine-tunings on one backbone: one by one, and stacked."""
    import torch  # noqa: PLC0415  (see load_for_bench)

    from vtt_core.bench.speed.job_times import compare_jobs  # noqa: PLC0415

    num_threads = use_threads(threads)
    loaded = load_for_bench(backbone, device)
    result: dict[str, Any] = {
        "backbone": backbone,
        "jobs": number,
        "iterations": iterations,
        "way": way,
        "shot": shot,
        "repeats": repeats,
    }
    result |= conditions(torch, num_threads)
    result |= compare_jobs(
        loaded,
        num_jobs=number,
        iterations=iterations,
        way=way,
        shot=shot,
        repeats=repeats,
        num_threads=num_threads,
        stopwatch=time.perf_counter,
    )
    if as_json:
        write_json(result)
        return
    console = Console(highlight=False, emoji=False)
    table = Table("way", "median s", "jobs an hour", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        table.add_row(name, f"{spread['median']:.1f}", f"{result['jobs_per_hour'][name]:.0f}")
    console.print(table)
    write_ratios(console, result)
    console.print(f"largest difference of the LoRAs: {result['largest_difference']:.2g}", markup=False)
