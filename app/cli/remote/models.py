"""`vtt remote models`, `alias`, `export` and `delete`: what a service has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import write_json
from app.cli.remote.service import OWN_SERVICE, JsonOption, KeyOption, ModelArgument, UrlOption, write_answer, write_table
from vtt_client import Client
from vtt_client.models import Model


def models(url: UrlOption = OWN_SERVICE, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the models, newest first."""
    with Client(url, key) as client:
        found = client.models()
    if as_json:
        write_json({"models": [model.model_dump(mode="json") for model in found]})
        return
    columns = ("id", "name", "aliases", "classes", "backbone", "expected accuracy", "created")
    write_table(columns, [_row(model) for model in found])


def alias(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, dot and hyphen.")],
    model: Annotated[str | None, typer.Argument(metavar="[MODEL_ID]", help="Model that it will point to.")] = None,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an alias point to a model; without MODEL_ID, show which one it points to."""
    with Client(url, key) as client:
        found = client.alias(name) if model is None else client.point_alias(name, model)
    if as_json:
        write_answer(found)
    else:
        typer.echo(found.model_id)


def export(
    model: ModelArgument,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    kind: Annotated[
        str, typer.Option(metavar="NAME", help="adapter, a zip for `vtt predict`; or report, an HTML file.")
    ] = "adapter",
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a model or its report as a file."""
    with Client(url, key) as client:
        saved = client.download(model, target, kind=kind)
    if as_json:
        write_json({"file": str(saved), "size_bytes": saved.stat().st_size})
    else:
        typer.echo(saved)


def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of support sets, jobs, models, batches or evaluations.")],
    is_alias: Annotated[bool, typer.Option("--alias", help="The IDs are names of aliases; their models stay.")] = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what the ids name."""
    with Client(url, key) as client:
        for one in ids:
            if is_alias:
                client.delete_alias(one)
            else:
                client.delete(one)
            if not as_json:
                typer.echo(f"deleted {one}")
    if as_json:
        write_json({"deleted": ids})


def _row(model: Model) -> tuple[object, ...]:
    expected = model.metrics.expected_accuracy
    accuracy = None if expected is None else f"{100 * expected.accuracy:.0f} %"
    created = model.created_at.strftime("%Y-%m-%d %H:%M")
    return model.id, model.name, ", ".join(model.aliases), len(model.labels), model.backbone, accuracy, created
