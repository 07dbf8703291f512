"""`vtt remote models`, `alias`, `export` and `delete`: what a service has learnt."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import stderr_console, write_json
from app.cli.remote.service import (
    OWN_SERVICE,
    JsonOption,
    KeyOption,
    ModelArgument,
    UrlOption,
    connect,
    write_answer,
    write_table,
)
from vtt_client.export_models import MADE_KINDS
from vtt_client.models import Model


class Kind(StrEnum):
    """What can be saved of a model."""

    ADAPTER = "adapter"
    REPORT = "report"
    PEFT = "peft"
    OPEN_CLIP = "open_clip"
    ONNX = "onnx"
    WEB = "web"


def models(url: UrlOption = OWN_SERVICE, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the models, newest first."""
    with connect(url, key) as client:
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
    with connect(url, key) as client:
        found = client.alias(name) if model is None else client.point_alias(name, model)
    if as_json:
        write_answer(found)
    else:
        typer.echo(found.model_id)


def export(
    model: ModelArgument,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    kind: Annotated[
        Kind,
        typer.Option(metavar="NAME", help="adapter (for `vtt predict`), report (HTML), peft, open_clip, onnx or web (a page)."),
    ] = Kind.ADAPTER,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a model, its report, or a form of it that other programs read. What is not made yet is made first."""
    with connect(url, key) as client:
        if (made := next((one for one in MADE_KINDS if one == kind), None)) is not None:
            client.export(model, made)
            stderr_console().print(f"waiting until {kind} is made", markup=False)
            client.wait_for_export(model, made)
        saved = client.download(model, target, kind=kind)
    if as_json:
        write_json({"file": str(saved), "size_bytes": saved.stat().st_size})
    else:
        typer.echo(saved)


def delete(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Of support sets, jobs, models, batches, evaluations or webhooks.")
    ],
    is_alias: Annotated[bool, typer.Option("--alias", help="The IDs are names of aliases; their models stay.")] = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what the ids name."""
    with connect(url, key) as client:
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
