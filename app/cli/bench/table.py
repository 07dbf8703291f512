"""`vtt bench table`: put the results of several `vtt bench episodes` into one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import write_json
from vtt_core.contract.errors import InputError

RESULT_FILE = "result.json"


def table(
    folders: Annotated[list[str], typer.Argument(metavar="[NAME=]DIR...", help="Folders of results; NAME heads the column.")],
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Show paired differences from this method instead of accuracies.")
    ] = None,
    of: Annotated[
        str, typer.Option(metavar="MEASURE", help="Show calibration_error, coverage_0.9, set_size_0.9 and so on instead.")
    ] = "accuracy",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Put the results of several data sets into one Markdown table, with their average."""
    from vtt_core.bench.episodes.tables import make_table, table_markdown  # noqa: PLC0415  (imports what only benchmarks need)

    results = dict(read_result(text) for text in folders)
    if as_json:
        write_json({"against": against, "of": of, "table": make_table(results, against, of)})
    else:
        typer.echo(table_markdown(results, against, of), nl=False)


def read_result(text: str) -> tuple[str, dict[str, Any]]:
    """Return name and result of `[NAME=]DIR`.

    Raises:
        InputError: the folder has no result.
    """
    name, folder = named_folder(text)
    try:
        result: dict[str, Any] = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        _ = result["methods"], result["paired"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            expected=f"a folder with the {RESULT_FILE} of a finished `vtt bench episodes`",
            got=f"{text!r} ({type(error).__name__})",
            remedy="Give the --out of such a run",
        ) from error
    return name, result


def named_folder(text: str) -> tuple[str, Path]:
    """Return name and folder of `[NAME=]DIR`."""
    name, equals, path = text.partition("=")
    folder = Path(path if equals else text)
    return name if equals else folder.name, folder
