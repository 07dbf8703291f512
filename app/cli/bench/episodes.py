"""`vtt bench episodes`: compare methods on the same few-shot episodes, and resume where a killed run stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.bench.common import load_for_bench, use_threads
from app.cli.bench.logged_run import open_run
from app.cli.bench.open_data import DataOption, NamesOption, PatientOption, open_data
from app.cli.bench.plots import plot_methods
from app.cli.console import stderr_console, write_json
from app.cli.interrupts import held_back
from app.cli.renamed import renamed_part, warn_of_old_preset
from vtt_core.backbones.device import resolve_device
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from vtt_core.bench.episodes.runner import Benchmark

RESULT_FILE, MARKDOWN_FILE, PLOT_FILE = "result.json", "result.md", "plot.png"


@dataclass(frozen=True)
class EpisodesRequest:
    """The options of a run; equal requests share a folder."""

    data: str
    names: str | None
    backbone: str
    way: int
    shot: int
    query: int
    episodes: int
    methods: str
    seed: int
    by_patient: bool
    iterations: int | None
    device: str
    threads: int
    shard: str | None = None
    """Of the classes, as in 1/2; None for all."""

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """Fields of every recipe that does not name them itself."""
        return {} if self.iterations is None else {"iterations": self.iterations}

    @property
    def cache_folder(self) -> Path:
        """Folder of the log if none is named."""
        # Folders that are there already are named after a hash with the field called `part`.
        fields = {"part" if name == "shard" else name: value for name, value in vars(self).items()}
        canonical = json.dumps(fields, sort_keys=True)
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "vtt-service" / "episodes" / hashlib.sha256(canonical.encode()).hexdigest()[:16]


def episodes(
    data: DataOption,
    methods: Annotated[
        str, typer.Option(metavar="NAME[@PRESET][:FIELD=VALUE...],...", help="Methods to compare on the same episodes.")
    ] = "zero-shot,linear-probe,clip-lora,clip-lora+vtt",
    names: NamesOption = None,
    backbone: Annotated[
        str, typer.Option(metavar="ID", help="Backbone, `name/random` for random weights, or an open_clip JSON configuration.")
    ] = "mini",
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes of an episode.")] = 5,
    shot: Annotated[int, typer.Option(metavar="K", min=1, help="Support images a class.")] = 5,
    query: Annotated[int, typer.Option(metavar="Q", min=1, help="Query images a class.")] = 15,
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the episodes, and of the random numbers in them.")] = 1,
    by_patient: PatientOption = False,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Only shard K of N of the classes; choose on one, measure on another.")
    ] = None,
    part: Annotated[str | None, typer.Option(metavar="K/N", hidden=True)] = None,
    iterations: Annotated[int | None, typer.Option(metavar="N", min=1, help="Optimiser steps of every recipe.")] = None,
    together: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes that a method gets at once.")] = 1,
    distributed: Annotated[bool, typer.Option("--distributed", help="Let the service's workers compute the episodes.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of log and results; without it, in the cache.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N; that of the workers with --distributed.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores to use; without it, as torch does.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Compare methods on few-shot episodes: mean accuracies and paired differences with their 95 % intervals.

    Every finished episode is a line of a log. After a kill, the same command resumes after the last line.
    """
    warn_of_old_preset(methods)
    request = EpisodesRequest(
        data=_absolute(data),
        names=str(names.absolute()) if names else None,
        backbone=backbone,
        way=way,
        shot=shot,
        query=query,
        episodes=episodes,
        methods=methods,
        seed=seed,
        by_patient=by_patient,
        iterations=iterations,
        device=resolve_device(device),
        threads=use_threads(threads),
        shard=renamed_part(part) if part is not None else shard,
    )
    folder = out or request.cache_folder
    result = run_request(request, folder, together, distributed=distributed)
    write_results(result, folder)
    if as_json:
        write_json(result)
    else:
        typer.echo((folder / MARKDOWN_FILE).read_text(encoding="utf-8"), nl=False)


def run_request(request: EpisodesRequest, folder: Path, together: int = 1, *, distributed: bool = False) -> dict[str, Any]:
    """Run the episodes that the log in the folder lacks, and return the result.

    Args:
        request: options of the run.
        folder: of the log.
        together: episodes that a method gets at once.
        distributed: whether the service's workers compute them.
    """
    # torch takes seconds to import; other commands do without.
    from app.cli.bench.distributed_episodes import Collection, make_spec  # noqa: PLC0415  (celery takes a while too)
    from app.infra.settings import load_settings  # noqa: PLC0415
    from vtt_core.bench.episodes.report import make_report  # noqa: PLC0415
    from vtt_core.bench.episodes.runner import run_episodes  # noqa: PLC0415

    # The workers have the device; here the weights are only hashed.
    load_device = "cpu" if distributed else request.device
    with open_benchmark(request, load_device) as benchmark, open_run(benchmark, folder) as (log, bar):
        if distributed:
            spec = make_spec(benchmark, request.recipe_changes, together)
            lines = Collection(benchmark, spec, log, load_settings(), bar.say).lines()
        else:
            lines = run_episodes(benchmark, log, time.perf_counter, together=together)
        for line in lines:
            bar.show(line)
        return make_report(benchmark, log)


@contextmanager
def open_benchmark(request: EpisodesRequest, load_device: str) -> Iterator[Benchmark]:
    """Open the data and load the backbone.

    Args:
        request: options of the run.
        load_device: device of the backbone.

    Raises:
        InputError: a method, the data, the names or the backbone cannot be used.
    """
    # See run_request.
    from vtt_core.bench.episodes.image_bank import ImageBank  # noqa: PLC0415
    from vtt_core.bench.episodes.methods import FROZEN  # noqa: PLC0415
    from vtt_core.bench.episodes.runner import Benchmark  # noqa: PLC0415
    from vtt_core.bench.episodes.sampling import Protocol  # noqa: PLC0415
    from vtt_core.contract.method_spec import parse_specs  # noqa: PLC0415

    specs = parse_specs(request.methods, FROZEN, request.recipe_changes, backbone_id=request.backbone)
    with open_data(request.data, request.names, by_patient=request.by_patient, shard=request.shard) as images:
        frozen = load_for_bench(request.backbone, load_device)
        protocol = Protocol(request.way, request.shot, request.query, request.episodes, request.seed)
        yield Benchmark(ImageBank(images, frozen), protocol, specs, request.threads, request.device.partition(":")[0])


def write_results(result: Mapping[str, Any], folder: Path) -> None:
    """Write the JSON object, the tables and, if matplotlib is installed, the plot."""
    from vtt_core.bench.episodes.report import to_markdown  # noqa: PLC0415  (see run_request)

    with held_back():
        (folder / RESULT_FILE).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / MARKDOWN_FILE).write_text(to_markdown(result), encoding="utf-8")
    try:
        plot_methods(result["methods"], folder / PLOT_FILE)
    except InputError as error:
        stderr_console().print(f"no plot: {error}", markup=False)


def _absolute(data: str) -> str:
    """Return the same option with an absolute path, so that the request does not depend on the current folder."""
    from vtt_core.bench.datasets.open import parse_data_option  # noqa: PLC0415  (see run_request)

    name, path = parse_data_option(data)
    return str(path.absolute()) if name is None else f"{name}={path.absolute()}"
