"""`vtt bench hosts`: fine-tune every host on every backbone for a few steps, and say which of them failed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.common import JsonOption, ThreadsOption, conditions, load_for_bench, use_threads
from app.cli.console import FAILURE_EXIT, stderr_console, write_json
from vtt_core.backbones.device import resolve_device
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from vtt_core.backbones.backbone import Backbone
    from vtt_core.bench.hosts.host_cells import Change, HostCell

DEFAULT_BACKBONES = "mini,small-clip,small-siglip2,small-pe-core"
WAY, SHOT = 5, 2
TABLE_WIDTH = 130
"""Width at which no column is cut; a narrower terminal wraps the lines."""


def hosts(
    backbones: Annotated[
        str,
        typer.Option(
            metavar="ID,ID...",
            help="Backbones, `name/random` for random weights, open_clip JSON configurations, or small-clip, small-siglip2, "
            "small-pe-core: small ones of each kind with random weights.",
        ),
    ] = DEFAULT_BACKBONES,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Optimiser steps of each fine-tuning.")] = 30,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune every host, with and without VtT, on every backbone, and check the losses and the stripped adapter.

    Exits with 1 if one fails: its loss does not fall, or its stripped adapter gives other answers.
    """
    import torch  # noqa: PLC0415  (takes seconds; other commands do without)

    names = [name.strip() for name in backbones.split(",") if name.strip()]
    if not names:
        raise InputError(expected="one backbone or more", got=repr(backbones), remedy="Correct --backbones")
    num_threads = use_threads(threads)
    cells = list(_run(names, iterations, resolve_device(device)))
    failed = [cell for cell in cells if cell.failures]
    if as_json:
        result = {"iterations": iterations, "way": WAY, "shot": SHOT, "device": device, **conditions(torch, num_threads)}
        write_json(result | {"cells": [_to_json(cell) for cell in cells], "num_failed": len(failed)})
    else:
        _write_table(cells, iterations)
    for cell in failed:
        stderr_console().print(f"{cell.backbone_id} {cell.method}: {'; '.join(cell.failures)}", style="red", markup=False)
    if failed:
        raise typer.Exit(FAILURE_EXIT)


def _run(names: Sequence[str], iterations: int, device: str) -> Iterator[HostCell]:
    """Run all cells; all backbones are loaded first, so that a wrong name costs no time."""
    from vtt_core.bench.hosts.host_cells import run_cells  # noqa: PLC0415
    from vtt_core.bench.speed.synthetic_support_set import learnable_support_set  # noqa: PLC0415  (see hosts)

    support_set = learnable_support_set(WAY, SHOT)
    for backbone in [_load(name, device) for name in names]:
        for cell in run_cells(backbone, support_set, iterations, time.perf_counter):
            stderr_console().print(f"{cell.backbone_id} {cell.method}: {'failed' if cell.failures else 'done'}", markup=False)
            yield cell


def _load(name: str, device: str) -> Backbone:
    from vtt_core.bench.hosts.small_backbones import SMALL_BACKBONES, small_backbone  # noqa: PLC0415  (see hosts)

    if name in SMALL_BACKBONES:
        return small_backbone(SMALL_BACKBONES[name], device=device)
    return load_for_bench(name, device)


def _to_json(cell: HostCell) -> dict[str, Any]:
    return {
        "backbone_id": cell.backbone_id,
        "method": cell.method,
        "figures": None if cell.measured is None else asdict(cell.measured),
        "refusal": cell.refusal,
        "failures": cell.failures,
    }


def _write_table(cells: Sequence[HostCell], iterations: int) -> None:
    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, TABLE_WIDTH)
    columns = ("backbone", "method", "trained", "fusion", "classification", "absorption", "off at", "strip", "s", "")
    table = Table(*columns, box=None, header_style="bold")
    for cell in cells:
        measured, verdict = cell.measured, "FAILED" if cell.failures else "ok"
        if measured is None:
            table.add_row(cell.backbone_id, cell.method, *[""] * 7, verdict)
            continue
        stopped_at = measured.absorption_stopped_at
        table.add_row(
            cell.backbone_id,
            cell.method,
            f"{measured.host_parameters:,}",
            f"{measured.fusion_parameters:,}" if measured.fusion_parameters else "",
            _describe(measured.classification_loss),
            _describe(measured.absorption_loss),
            "" if stopped_at is None else str(stopped_at),
            "equal" if measured.is_strip_equal else "DIFFERS",
            f"{measured.seconds:.1f}",
            verdict,
        )
    console.print(table)
    failed = sum(bool(cell.failures) for cell in cells)
    console.print(
        f"{len(cells)} fine-tunings of {iterations} steps on {WAY} synthetic classes of {SHOT} images, {failed} failed. Losses "
        "are those of all views without dropout, before the first step and after the last, of absorption up to its end; "
        "fusion is stripped.",
        markup=False,
    )


def _describe(change: Change | None) -> str:
    return "" if change is None else f"{change.first:.3f} > {change.last:.3f}"
