"""`vtt bench step` and `vtt bench parts`: time one training step, and the parts of it."""

from __future__ import annotations

import time
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
    products_of,
    use_threads,
    write_ratios,
)
from app.cli.console import write_json
from app.cli.renamed import renamed_scan_kernels
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import FinetuneRecipe


def step(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a step.")] = 25,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    scan_kernels: Annotated[
        str, typer.Option(help="Of the scan on a GPU: reproducible (our own), or mamba-ssm where it is installed.")
    ] = "reproducible",
    as_json: JsonOption = False,
) -> None:
    """Time one training step: released order of work, plain, fast, and the floor under them."""
    import torch  # noqa: PLC0415  (see load_for_bench)

    from vtt_core.bench.speed.step_times import compare_steps  # noqa: PLC0415
    from vtt_core.fusion.make import state_size_of  # noqa: PLC0415
    from vtt_core.fusion.scan_choice import choose_scan, prefer_scan  # noqa: PLC0415

    preferred = _scan_preference(scan_kernels)
    num_threads = use_threads(threads)
    prefer_scan(preferred)
    loaded = load_for_bench(backbone, device)
    chosen = choose_scan(loaded.device, state_size_of(FinetuneRecipe(), loaded.joint_size))
    compared = compare_steps(
        loaded, way=way, batch_size=batch, repeats=repeats, num_threads=num_threads, stopwatch=time.perf_counter
    )
    result = {
        "backbone": backbone,
        "batch": batch,
        "way": way,
        "repeats": repeats,
        "scan": {"name": chosen.name, "reason": chosen.reason},
        "products": products_of(loaded),
        **conditions(torch, num_threads),
        **compared,
    }
    if as_json:
        write_json(result)
    else:
        _write_tables(result)


def parts(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a step.")] = 25,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Time the parts of a fast step on one core, and the step without each of its fast forms."""
    import torch  # noqa: PLC0415  (see load_for_bench)

    from vtt_core.bench.speed.step_parts import measure_parts  # noqa: PLC0415

    num_threads = use_threads(1)
    loaded = load_for_bench(backbone)
    result = {"backbone": backbone, "batch": batch, "way": way, "repeats": repeats, **conditions(torch, num_threads)}
    result |= measure_parts(loaded, way=way, batch_size=batch, repeats=repeats, stopwatch=time.perf_counter)
    if as_json:
        write_json(result)
        return
    console = Console(highlight=False, emoji=False)
    table = Table("what", "median ms", "over the fast step", "middle half", box=None, header_style="bold")
    for name, ratio in result["over_fast"].items():
        lower, upper = result["ratio_quartiles"][name]
        table.add_row(name, f"{1e3 * result['seconds'][name]['median']:.1f}", f"{ratio:.3f}", f"{lower:.3f} - {upper:.3f}")
    console.print(f"{backbone}: a fast step takes {1e3 * result['seconds']['fast']['median']:.1f} ms", markup=False)
    console.print(table)


def _scan_preference(text: str) -> Literal["reproducible", "mamba-ssm"]:
    match renamed_scan_kernels(text):
        case "reproducible" | "mamba-ssm" as known:
            return known
    raise InputError(expected="reproducible or mamba-ssm", got=repr(text), remedy="Correct --scan-kernels")


def _write_tables(result: dict[str, Any]) -> None:
    console = Console(highlight=False, emoji=False)
    console.print(
        f"{result['backbone']}, batch {result['batch']}, {result['way']} classes, {result['repeats']} rounds, "
        f"{result['threads']} of {result['cores']} cores, torch {result['torch']}, allocator: {result['allocator']}",
        markup=False,
    )
    console.print(
        f"{result['processor']}, products: {result['products']['name']} ({result['products']['reason']})", markup=False
    )
    console.print(f"scan: {result['scan']['name']} ({result['scan']['reason']})", markup=False)
    table = Table("step", "median ms", "middle half", "peak MB", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        peak = result["peak_bytes"][name]
        middle = f"{1e3 * spread['lower']:.1f} - {1e3 * spread['upper']:.1f}"
        table.add_row(name, f"{1e3 * spread['median']:.1f}", middle, "?" if peak is None else f"{peak / 1e6:.0f}")
    console.print(table)
    write_ratios(console, result)
