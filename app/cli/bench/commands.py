"""`vtt bench`: compare alternatives in turn, in one process, and print their ratios with their spread."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.plots import plot_curve, plot_file
from app.cli.console import stderr_console, write_json
from vtt_core.contract.backbones import MINI, RANDOM_TAG
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import FinetuneRecipe

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
HTTP_FIGURES = ("http_over_bare", "http_images_per_second", "bare_loop_images_per_second")


@bench.command()
def step(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a step.")] = 25,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    threads: ThreadsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    scan_kernels: Annotated[
        str, typer.Option(help="Of the scan on a GPU: reproducible (our own), or mamba-ssm where it is installed.")
    ] = "reproducible",
    as_json: JsonOption = False,
) -> None:
    """Time one training step: released order of work, plain, fast, and the floor under them."""
    import torch  # noqa: PLC0415  (takes seconds; other commands do without)

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
        **conditions(torch, num_threads),
        **compared,
    }
    if as_json:
        write_json(result)
    else:
        _write_tables(result)


@bench.command()
def parts(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a step.")] = 25,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Time the parts of a fast step on one core, and the step without each of its fast forms."""
    import torch  # noqa: PLC0415  (see step)

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


@bench.command()
def jobs(
    backbone: BackboneOption = "mini",
    number: Annotated[int, typer.Option(metavar="N", min=1, help="Jobs.")] = 8,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of each.")] = 250,
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes.")] = 5,
    shot: Annotated[int, typer.Option(metavar="N", min=1, help="Images a class.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 3,
    threads: ThreadsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time whole fine-tunings: one after another, and together on one backbone."""
    import torch  # noqa: PLC0415  (see step)

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
    table = Table("order", "median s", "jobs an hour", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        table.add_row(name, f"{spread['median']:.1f}", f"{result['jobs_per_hour'][name]:.0f}")
    console.print(table)
    write_ratios(console, result)
    console.print(f"largest difference of the LoRAs: {result['largest_difference']:.2g}", markup=False)


@bench.command()
def serve(
    backbone: BackboneOption = "mini",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images in a batch.")] = 32,
    adapters: Annotated[str, typer.Option(metavar="N,N...", help="Numbers of adapters to choose from.")] = "1,32,1000",
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds; each runs every alternative once.")] = 7,
    precision: Annotated[str, typer.Option(help="Of adapters in memory: float32 or float16.")] = "float32",
    http: Annotated[bool, typer.Option(help="Measure over HTTP too.")] = True,
    requests: Annotated[int, typer.Option(metavar="N", min=2, help="Requests of each measurement over HTTP.")] = 200,
    threads: ThreadsOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time predictions: the bare backbone, one adapter, one for each image, many to choose from, and over HTTP."""
    registered, chosen_precision = _numbers(adapters), _precision(precision)
    import torch  # noqa: PLC0415  (see step)

    from app.cli.bench.http_serving import measure_http  # noqa: PLC0415
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
            result |= measure_http(loaded, Path(folder), num_clients=batch, num_requests=requests, num_threads=num_threads)
    if as_json:
        write_json(result)
    else:
        _write_serve_tables(result)


@bench.command()
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
    import torch  # noqa: PLC0415  (see step)

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


def _scan_preference(text: str) -> Literal["reproducible", "mamba-ssm"]:
    if text == "reproducible":
        return "reproducible"
    if text == "mamba-ssm":
        return "mamba-ssm"
    raise InputError(expected="reproducible or mamba-ssm", got=repr(text), remedy="Correct --scan-kernels")


def use_threads(threads: int | None) -> int:
    """Let torch use so many threads, or leave its choice; return the number."""
    import torch  # noqa: PLC0415  (see step)

    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def load_for_bench(backbone: str, device: str = "cpu") -> Backbone:
    """Return a backbone by its id, or one with random weights by its open_clip configuration."""
    from vtt_core.backbones.load import RANDOM_WEIGHTS_SEED, backbone_from_files, load_backbone  # noqa: PLC0415  (see step)
    from vtt_core.training.seeding import seeded  # noqa: PLC0415

    if backbone != MINI and "/" not in backbone and not backbone.endswith(".json"):
        backbone = f"{backbone}/{RANDOM_TAG}"
    if backbone.endswith(".json") and Path(backbone).is_file():
        with seeded(RANDOM_WEIGHTS_SEED, "weights"):  # a run that goes on needs those that it began with
            return backbone_from_files(Path(backbone).stem, Path(backbone), None, device=device)
    return load_backbone(backbone, device=device)


def conditions(torch: Any, num_threads: int) -> dict[str, Any]:
    """Return what a time depends on besides the code."""
    allocator = {name: os.environ[name] for name in ALLOCATOR_VARIABLES if name in os.environ}
    return {
        "threads": num_threads,
        "cores": usable_cores(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "allocator": allocator or "the C library's, unchanged",
    }


def _write_tables(result: dict[str, Any]) -> None:
    console = Console(highlight=False, emoji=False)
    console.print(
        f"{result['backbone']}, batch {result['batch']}, {result['way']} classes, {result['repeats']} rounds, "
        f"{result['threads']} of {result['cores']} cores, torch {result['torch']}, allocator: {result['allocator']}",
        markup=False,
    )
    console.print(f"scan: {result['scan']['name']} ({result['scan']['reason']})", markup=False)
    table = Table("step", "median ms", "middle half", "peak MB", box=None, header_style="bold")
    for name, spread in result["seconds"].items():
        peak = result["peak_bytes"][name]
        middle = f"{1e3 * spread['lower']:.1f} - {1e3 * spread['upper']:.1f}"
        table.add_row(name, f"{1e3 * spread['median']:.1f}", middle, "?" if peak is None else f"{peak / 1e6:.0f}")
    console.print(table)
    write_ratios(console, result)


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
    console.print(others)


def write_ratios(console: Console, result: dict[str, Any]) -> None:
    """Print the ratios of a result with the middle half of their rounds."""
    ratios = Table("ratio", "median", "middle half", box=None, header_style="bold")
    for name, (lower, upper) in result["ratio_quartiles"].items():
        ratios.add_row(name, f"{result[name]:.3f}", f"{lower:.3f} - {upper:.3f}")
    console.print(ratios)
