"""`vtt bench reproduce`: reproduce a row of the published tables, and compare it with the paper."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.common import load_for_bench, use_threads
from app.cli.bench.episodes import EpisodesRequest, run_request
from app.cli.bench.synthetic_datasets import write_target_domains
from app.cli.console import stderr_console, write_json
from vtt_core.backbones.device import resolve_device
from vtt_core.bench.datasets.registry import DATASETS, TARGET_DOMAINS
from vtt_core.bench.episodes.published import NUM_QUERIES, ROWS, WAY, Comparison, Measured, PublishedRow, compare, find_row
from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import DatasetLayoutError, InputError, MissingRequirementError, VttError

DRY_RUN_EPISODES = 2
"""The fewest that have an interval."""
DRY_RUN_ITERATIONS = 2
_SEED = 1


@dataclass(frozen=True)
class Plan:
    """A row, and everything that is needed to run it."""

    row: PublishedRow
    backbone_id: str
    num_episodes: int
    iterations: int | None
    """Optimiser steps; None for those of the recipe."""
    domains: tuple[str, ...]
    data_root: Path
    seed: int
    device: str
    num_threads: int
    is_dry_run: bool

    def folder(self, domain: str) -> Path:
        """Return where a data set should be: a folder of its name, or a zip of that name if there is no folder."""
        folder = self.data_root / domain
        archive = folder.with_name(f"{domain}.zip")
        return archive if not folder.exists() and archive.is_file() else folder

    def request(self, domain: str) -> EpisodesRequest:
        """Return the benchmark of one target domain."""
        return EpisodesRequest(
            data=f"{domain}={self.folder(domain).absolute()}",
            names=None,
            backbone=self.backbone_id,
            way=WAY,
            shot=self.row.shot,
            query=NUM_QUERIES,
            episodes=self.num_episodes,
            methods=self.row.method_for(domain),
            seed=self.seed,
            by_patient=False,
            iterations=self.iterations,
            device=self.device,
            threads=self.num_threads,
        )


def reproduce(
    row: Annotated[str | None, typer.Argument(metavar="[ROW]", help="A row that --list shows.")] = None,
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with one folder a data set: cropdisease, eurosat, isic, chestx.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the rows, and where to get the data sets.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show that it runs: backbone `mini`, synthetic images, few episodes and steps.")
    ] = False,
    episodes: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Episodes of each data set; without it, as published.")
    ] = None,
    domains: Annotated[str, typer.Option(metavar="NAME,...", help="Only these target domains.")] = ",".join(TARGET_DOMAINS),
    backbone: Annotated[
        str | None, typer.Option(metavar="ID", help="Other weights, such as name//path/to/weights.safetensors.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the episodes, and of the random numbers in them.")] = _SEED,
    together: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes that are trained at once.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the logs; the same command resumes after their last lines.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores to use; without it, as torch does.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Reproduce a row of the published tables and compare it with the paper, with difference and 95 % interval.

    Weights and data sets are checked before anything runs. For what is missing, the command says where to get it.
    """
    if show_list:
        _write_rows(as_json=as_json)
        return
    plan = _plan(
        _checked_row(row, data_root, is_dry_run=dry_run),
        backbone=backbone,
        episodes=episodes,
        domains=_parse_domains(domains),
        data_root=data_root,
        seed=seed,
        device=device,
        threads=threads,
        is_dry_run=dry_run,
    )
    with ExitStack() as stack:
        if dry_run and data_root is None:
            plan = replace(plan, data_root=stack.enter_context(_synthetic_data(plan.row)))
        if dry_run and out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        check_requirements(plan)
        lines = run_plan(plan, out, together)
    if as_json:
        write_json(_to_json(plan, lines))
    else:
        _write_comparison(plan, lines)


def _checked_row(row: str | None, data_root: Path | None, *, is_dry_run: bool) -> PublishedRow:
    if row is None or (data_root is None and not is_dry_run):
        raise InputError(
            expected="a row and --data-root DIR, or a row and --dry-run",
            got="no row" if row is None else "no --data-root",
            remedy="`vtt bench reproduce --list` shows the rows and where to get the data sets",
        )
    return find_row(row)


def _plan(
    row: PublishedRow,
    *,
    backbone: str | None,
    episodes: int | None,
    domains: tuple[str, ...],
    data_root: Path | None,
    seed: int,
    device: str,
    threads: int | None,
    is_dry_run: bool,
) -> Plan:
    """Fill in what the options leave open: as published, or as small as it goes for a dry run."""
    return Plan(
        row=row,
        backbone_id=backbone or (MINI if is_dry_run else row.backbone_id),
        num_episodes=episodes or (DRY_RUN_EPISODES if is_dry_run else row.num_episodes),
        iterations=DRY_RUN_ITERATIONS if is_dry_run else None,
        domains=domains,
        data_root=data_root or Path(),
        seed=seed,
        device=resolve_device(device),
        num_threads=use_threads(threads),
        is_dry_run=is_dry_run,
    )


def check_requirements(plan: Plan) -> None:
    """Check that the data sets and the weights are there.

    Raises:
        MissingRequirementError: something is missing; standard error names each thing.
    """
    problems: dict[str, VttError] = {}
    for domain in plan.domains:
        try:
            _check_data(plan, domain)
        except VttError as error:
            problems[f"data set {domain}"] = error
    try:
        load_for_bench(plan.backbone_id, plan.device)
    except VttError as error:
        problems[f"backbone {plan.backbone_id}"] = error
    if not problems:
        return
    for name, problem in problems.items():
        stderr_console().print(f"missing: {name}: {problem}", style="yellow", markup=False)
    raise MissingRequirementError(
        expected=f"the weights of {plan.backbone_id!r}, and {', '.join(plan.domains)} below {str(plan.data_root)!r}",
        got=f"no {', no '.join(problems)}",
        remedy="Get what the lines above name; --dry-run runs without it",
    )


def run_plan(plan: Plan, out: Path | None, together: int) -> list[Comparison]:
    """Run the row on each target domain and compare it with the paper.

    Args:
        plan: what to run.
        out: folder of the logs; None for the cache.
        together: episodes that are trained at once.
    """
    measured = {}
    for domain in plan.domains:
        stderr_console().print(f"{domain}: {plan.row.method_for(domain)}, {plan.num_episodes} episodes", markup=False)
        request = plan.request(domain)
        result = run_request(request, out / domain if out is not None else request.cache_folder, together)
        (figures,) = result["methods"].values()
        measured[domain] = Measured(100 * figures["mean"], 100 * figures["ci95"], result["episodes"])
    return compare(plan.row, measured)


def _parse_domains(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in TARGET_DOMAINS]
    if unknown:
        raise InputError(
            expected="target domains among " + ", ".join(TARGET_DOMAINS), got=repr(unknown[0][:80]), remedy="Correct --domains"
        )
    return names


@contextmanager
def _synthetic_data(row: PublishedRow) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        write_target_domains(Path(folder), row.shot + NUM_QUERIES)
        yield Path(folder)


def _check_data(plan: Plan, domain: str) -> None:
    """Refuse a data set that is missing or lacks classes; a dry run needs only some of them."""
    from vtt_core.bench.datasets.open import open_labelled_images  # noqa: PLC0415  (imports torch, which takes seconds)

    dataset = DATASETS[domain]
    with open_labelled_images(domain, root=plan.folder(domain)) as images:
        num_classes = len({image.label for image in images})
    if num_classes != dataset.num_classes and not plan.is_dry_run:
        raise DatasetLayoutError(
            expected=f"{dataset.num_classes} classes of {dataset.title}",
            got=f"{num_classes} in {str(plan.folder(domain))!r}",
            remedy=f"Get all of it from {dataset.url}",
        )


def _write_rows(*, as_json: bool) -> None:
    if as_json:
        rows = [asdict(row) | {"num_episodes": row.num_episodes} for row in ROWS.values()]
        datasets = [{"name": name, "url": DATASETS[name].url, "layout": DATASETS[name].layout} for name in TARGET_DOMAINS]
        write_json({"rows": rows, "datasets": datasets})
        return
    for row in ROWS.values():
        percent = "".join(f"{domain} {accuracy:.2f}, " for domain, accuracy in row.percent.items())
        typer.echo(f"{row.row_id}\n    {percent}average {row.average:g} %")
        typer.echo(f"    {row.method} on {row.backbone_id}, {WAY}-way {row.shot}-shot, {row.num_episodes} episodes")
    typer.echo("\nDIR of --data-root holds a folder of each name, with what its download unpacks to:")
    for name in TARGET_DOMAINS:
        typer.echo(f"{name}\n    {DATASETS[name].layout}\n    {DATASETS[name].url}")


def _to_json(plan: Plan, lines: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "row": plan.row.row_id,
        "methods": {domain: plan.row.method_for(domain) for domain in plan.domains},
        "backbone": plan.backbone_id,
        "way": WAY,
        "shot": plan.row.shot,
        "queries": NUM_QUERIES,
        "episodes": plan.num_episodes,
        "seed": plan.seed,
        "device": plan.device,
        "dry_run": plan.is_dry_run,
        "lines": [asdict(line) | {"difference": line.difference, "is_within": line.is_within} for line in lines],
    }


def _write_comparison(plan: Plan, lines: Sequence[Comparison]) -> None:
    console = Console(highlight=False, emoji=False)
    table = Table("target domain", "ours %", "95 % interval", "paper %", "difference", "in it", box=None, header_style="bold")
    for line in lines:
        ours = (f"{line.ours.percent:.2f}", f"± {line.ours.ci95:.2f}")
        if line.published is None:
            table.add_row(line.domain, *ours, "", "", "")
            continue
        is_in = "yes" if line.is_within else "no"
        table.add_row(line.domain, *ours, f"{line.published:.2f}", f"{line.difference:+.2f}", is_in)
    console.print(
        f"{plan.row.row_id}: {plan.row.method} on {plan.backbone_id}, {WAY}-way {plan.row.shot}-shot, "
        f"{plan.num_episodes} episodes of each target domain",
        markup=False,
    )
    console.print(table)
    if plan.is_dry_run:
        console.print("A dry run: other weights, few steps and episodes. It shows that the row runs; its numbers say nothing.")
