"""`vtt report`: write the HTML report of an adapter on disk, with no service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from app.cli.adapter_folder import METRICS_FILE
from app.cli.console import stderr_console
from app.cli.interrupts import held_back
from app.reports.again import command_for
from app.reports.data import DataFacts
from app.reports.facts import ReportFacts
from app.reports.metrics import Metrics
from app.reports.page import render_report
from vtt_core.contract.adapter_folder import check_adapter_folder
from vtt_core.contract.errors import AdapterFormatError, InputError
from vtt_core.contract.manifest import AdapterManifest

MANIFEST_FILE = "manifest.json"
"""As in vtt_core.adapter.files, which imports torch."""
NO_METRICS = (
    f"There is no {METRICS_FILE} beside the adapter, so its accuracy and its support set are not known. Release 0.2 "
    "wrote none. Nor does the export of a service have one: the report of the model itself does, which that service gives."
)
Read = TypeVar("Read")


def report(
    adapter: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `vtt adapt` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="HTML file to write; an older one is replaced.")] = Path(
        "report.html"
    ),
    name: Annotated[str, typer.Option(help="What the report calls the model; default: the name of the folder.")] = "",
) -> None:
    """Write a report of an adapter that can be cited: one HTML file with its numbers, limits and how it was made."""
    facts = read_facts(adapter, name or adapter.resolve().name)
    try:
        page = render_report(facts)
        with held_back():
            out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            expected="a file that can be written", got=f"{str(out)!r} ({error.strerror})", remedy="Choose another --out"
        ) from error
    for sentence in facts.missing:
        stderr_console().print(sentence, style="yellow", markup=False)
    typer.echo(str(out))


def read_facts(folder: Path, name: str) -> ReportFacts:
    """Return what the files of an adapter say.

    Args:
        folder: of the adapter.
        name: what to call it.

    Raises:
        AdapterFormatError: a file is missing or damaged.
        RecipeError: the manifest's recipe is none.
    """
    check_adapter_folder(folder, (MANIFEST_FILE,))
    manifest = AdapterManifest.from_json(_read_json(folder / MANIFEST_FILE))
    written = _read_json(folder / METRICS_FILE)
    if written is None:
        return ReportFacts(manifest, Metrics(), missing=(NO_METRICS,), again=_again(manifest, None, None), name=name)
    metrics = _take(written, "metrics", Metrics.from_json)
    data = _take(written, "data", DataFacts.from_json)
    return ReportFacts(manifest, metrics, data, again=_again(manifest, metrics.asked_method, data), name=name)


def _again(manifest: AdapterManifest, asked_method: str | None, data: DataFacts | None) -> tuple[tuple[str, str], ...]:
    has_groups, has_negatives = data is not None and data.num_groups > 0, data is not None and data.num_negatives > 0
    command = command_for(manifest, asked_method, has_groups=has_groups, has_negatives=has_negatives)
    return () if command is None else (("FOLDER holds the same images, in a folder per class:", command),)


def _read_json(path: Path) -> Any:
    """Return the value of a file; None where there is no such file."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"{path.name} in JSON", f"{type(error).__name__}: {error}") from error


def _take(written: Any, key: str, read: Callable[[Any], Read]) -> Read:
    try:
        return read(written[key])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{key} in {METRICS_FILE} as `vtt adapt` writes them", f"{type(error).__name__}: {error}") from error


def _unreadable(expected: str, got: str) -> AdapterFormatError:
    return AdapterFormatError(
        expected=expected, got=got, remedy="Name the folder that `vtt adapt` wrote, or copy the whole folder again"
    )
