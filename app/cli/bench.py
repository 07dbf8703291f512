"""`vtt bench`: compare alternatives in turn, in one process, and print their ratios with their spread."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.console import write_json

if TYPE_CHECKING:
    from vtt_core.backbones.backbone import Backbone

bench = typer.Typer(help="Compare alternatives in turn, and print ratios with their spread.", no_args_is_help=True)

BackboneOption = Annotated[
    str, typer.Option(metavar="ID", help="Backbone, `name/random` for random weights, or an open_clip JSON configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
ThreadsOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores to use; without it, as torch does.")]
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX")
"""Environment variables that change how memory is allocated, which changes times."""


@bench.command()
def step(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a step.")] = 25,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    threads: ThreadsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time one training step: released order of work, plain, fast, and the floor under them."""
    import torch  # noqa: PLC0415  (takes seconds; other commands do without)

    from vtt_core.benchmark.step_times import compare_steps  # noqa: PLC0415

    num_threads = use_threads(threads)
    loaded = load_for_bench(backbone, device)
    compared = compare_steps(
        loaded, way=way, batch_size=batch, repeats=repeats, num_threads=num_threads, stopwatch=time.perf_counter
    )
    result = {
        "backbone": backbone,
        "batch": batch,
        "way": way,
        "repeats": repeats,
        **conditions(torch, num_threads),
        **compared,
    }
    if as_json:
        write_json(result)
    else:
        _write_tables(result)


def use_threads(threads: int | None) -> int:
    """Let torch use so many threads, or leave its choice; return the number."""
    import torch  # noqa: PLC0415  (see step)

    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def load_for_bench(backbone: str, device: str = "cpu") -> Backbone:
    """Return a backbone by its id, or one with random weights by its open_clip configuration."""
    from vtt_core.backbones.load import backbone_from_files, load_backbone  # noqa: PLC0415  (see step)

    if backbone.endswith(".json") and Path(backbone).is_file():
        return backbone_from_files(Path(backbone).stem, Path(backbone), None, device=device)
    return load_backbone(backbone, device=device)


def conditions(torch: Any, num_threads: int) -> dict[str, Any]:
    """Return what a time depends on besides the code."""
    allocator = {name: os.environ[name] for name in ALLOCATOR_VARIABLES if name in os.environ}
    return {
        "threads": num_threads,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "allocator": allocator or "the C library's, unchanged",
    }


def _write_tables(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(
        f"{result['backbone']}, batch {result['batch']}, {result['way']} classes, {result['repeats']} rounds, "
        f"{result['threads']} of {result['cores']} cores, torch {result['torch']}, allocator: {result['allocator']}",
        markup=False,
    )
    table = Table("step", "median ms", "middle half", "peak MB", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        peak = result["peak_bytes"][name]
        middle = f"{1e3 * spread['lower']:.1f} - {1e3 * spread['upper']:.1f}"
        table.add_row(name, f"{1e3 * spread['median']:.1f}", middle, "?" if peak is None else f"{peak / 1e6:.0f}")
    console.print(table)
    write_ratios(console, result)


def write_ratios(console: Console, result: dict[str, Any]) -> None:
    """Print the ratios of a result with the middle half of their rounds."""
    ratios = Table("ratio", "median", "middle half", box=None, header_style="bold")
    for name, (lower, upper) in result["ratio_quartiles"].items():
        ratios.add_row(name, f"{result[name]:.3f}", f"{lower:.3f} - {upper:.3f}")
    console.print(ratios)
