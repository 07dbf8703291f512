"""`vtt bench serve`: time predictions, in the process and over HTTP."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

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
from vtt_core.contract.errors import InputError

COLD_CLIENTS = 128
"""That all come the moment a process is ready: as many as one client's share of requests."""
HTTP_FIGURES = ("http_over_bare", "http_images_per_second", "bare_loop_images_per_second")


def serve(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a batch.")] = 32,
    adapters: Annotated[str, typer.Option(metavar="N,N...", help="Numbers of adapters to choose from.")] = "1,32,1000",
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    precision: Annotated[str, typer.Option(help="Of adapters in memory: float32 or float16.")] = "float32",
    http: Annotated[bool, typer.Option(help="Measure over HTTP too.")] = True,
    requests: Annotated[int, typer.Option(metavar="N", min=2, help="Requests of each measurement over HTTP.")] = 200,
    processes: Annotated[int, typer.Option(metavar="N", min=1, help="Processes that answer over HTTP.")] = 1,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time predictions: the bare backbone, one adapter, one for each image, many to choose from, and over HTTP."""
    registered, chosen_precision = _numbers(adapters), _precision(precision)
    import torch  # noqa: PLC0415  (see load_for_bench)

    from app.cli.bench.http_serving import measure_cold_start, measure_http  # noqa: PLC0415
    from vtt_core.bench.speed.serve_times import compare_batches, time_cold_loads  # noqa: PLC0415

    num_threads = use_threads(threads)
    loaded = load_for_bench(backbone, device)
    result = {"backbone": backbone, "batch": batch, "adapters": registered, "repeats": repeats, "precision": precision}
    result |= conditions(torch, num_threads)
    result |= compare_batches(
        loaded,
        batch_size=batch,
        registered=registered,
        repeats=repeats,
        precision=chosen_precision,
        stopwatch=time.perf_counter,
    )
    with tempfile.TemporaryDirectory() as folder:
        result |= time_cold_loads(
            loaded, Path(folder), precision=chosen_precision, repeats=repeats, stopwatch=time.perf_counter
        )
    if http:
        with tempfile.TemporaryDirectory() as folder:
            result |= measure_http(
                loaded,
                Path(folder),
                num_clients=batch,
                num_requests=requests,
                num_threads=num_threads,
                num_processes=processes,
            )
        with tempfile.TemporaryDirectory() as folder:
            cold = measure_cold_start(
                loaded, Path(folder), num_clients=COLD_CLIENTS, num_requests=requests, num_threads=num_threads
            )
        result |= {"cold_start": cold}
    if as_json:
        write_json(result)
    else:
        _write_serve_tables(result)


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")} | {1})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise InputError(expected="whole numbers above 0, such as 1,32,1000", got=repr(text), remedy="Correct --adapters")
    return numbers


def _precision(text: str) -> Literal["float32", "float16"]:
    if text == "float16":
        return "float16"
    if text == "float32":
        return "float32"
    raise InputError(expected="float32 or float16", got=repr(text), remedy="Correct --precision")


def _write_serve_tables(result: dict[str, Any]) -> None:
    console = Console(highlight=False, emoji=False)
    console.print(
        f"{result['backbone']}, batch {result['batch']}, {result['repeats']} rounds, adapters in {result['precision']} of "
        f"{result['adapter_bytes'] / 1e6:.2f} MB\n{result['threads']} of {result['cores']} cores, torch {result['torch']}, "
        f"allocator: {result['allocator']}",
        markup=False,
    )
    table = Table("batch", "median ms", "middle half", "images/s", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        middle = f"{1e3 * spread['lower']:.1f} - {1e3 * spread['upper']:.1f}"
        table.add_row(name, f"{1e3 * spread['median']:.1f}", middle, f"{result['images_per_second'][name]:.1f}")
    console.print(table)
    write_ratios(console, result)
    others = Table("other", "value", box=None, header_style="bold")
    for name in ("largest_difference_to_merged", "cold_load_ms", "warm_beside_cold_over_alone", *HTTP_FIGURES):
        if name in result:
            others.add_row(name, f"{result[name]:.3g}")
    if "half_load" in result:
        others.add_row("half load", ", ".join(f"{name} {value:.3g}" for name, value in result["half_load"].items()))
    if "cold_start" in result:
        cold = result["cold_start"]
        answers = ", ".join(f"{number} with status {status}" for status, number in cold["statuses"].items())
        others.add_row(f"{cold['clients']} clients at the start", f"{answers}; the longest took {cold['longest_ms']:.3g} ms")
    console.print(others)
