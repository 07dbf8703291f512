"""Which service a remote command talks to, and how it writes what it got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from app.cli.console import stderr_console, write_json
from vtt_client import Client
from vtt_client.calls import Pause

WIDEST_ROW = 1000
"""Characters of a row that goes to a file or another program."""
SILENT_SECONDS = 1.0
"""A shorter wait is not worth a line."""
OWN_SERVICE = "http://127.0.0.1:8000"

UrlOption = Annotated[str, typer.Option("--url", help="URL of the service.", envvar="VTT_URL")]
KeyOption = Annotated[str | None, typer.Option("--key", help="API key.", envvar="VTT_KEY")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Id or alias of a model.")]


def connect(url: str, key: str | None) -> Client:
    """Return a client that says on standard error when it waits for the service, and how long."""
    return Client(url, key, on_wait=_write_wait)


def _write_wait(pause: Pause) -> None:
    if pause.seconds >= SILENT_SECONDS:
        stderr_console().print(str(pause), style="yellow", markup=False)


def write_answer(answer: BaseModel) -> None:
    """Write an answer of the service as JSON."""
    write_json(answer.model_dump(mode="json"))


def write_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows with a column for each name."""
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(columns):
        table.add_column(name, no_wrap=place == 0)  # an id is copied
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
    console.print(table, width=None if console.is_terminal else WIDEST_ROW)
