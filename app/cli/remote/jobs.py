"""`vtt remote train`, `add-classes` and `follow`: learn a model on a service, and watch it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import FinetuneBar
from app.cli.groups_file import GroupsOption
from app.cli.remote.service import OWN_SERVICE, JsonOption, KeyOption, ModelArgument, UrlOption, connect, write_answer
from app.cli.remote.sets import write_refused
from vtt_client import Client, TextBar
from vtt_client.models import Job
from vtt_core.contract.errors import RecipeError

NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Print the id of the job at once.")]


def train(
    support_set: Annotated[str, typer.Argument(metavar="SET_ID", help="As `vtt remote upload` prints it.")],
    backbone: Annotated[str | None, typer.Option(metavar="ID", help="Without it, the service's.")] = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="auto, frozen, or what is fine-tuned.")] = "auto",
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="Where the recipe starts.")] = None,
    set_values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value of the recipe; may come several times.")
    ] = None,
    name: Annotated[str, typer.Option(help="What you call the job and its model.")] = "",
    no_wait: NoWaitOption = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a job, follow it to its end, and print the id of the model. Ctrl-C leaves the job running."""
    recipe = _recipe(set_values or [])
    with connect(url, key) as client:
        job = client.train(support_set, backbone=backbone, method=method, preset=preset, recipe=recipe, name=name)
        if not no_wait:
            job = watched(client, job.id)
    if as_json:
        write_answer(job)
    else:
        typer.echo(job.model_id or job.id)


def add_classes(
    model: ModelArgument,
    images: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Images of the new classes, a folder per class.")],
    name: Annotated[str, typer.Option(help="What you call the job and the new model.")] = "",
    groups: GroupsOption = None,
    no_wait: NoWaitOption = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add classes to a model: a new model learns them in seconds, the old one stays. Prints the id of the new model."""
    with connect(url, key) as client:
        added = client.add_classes(model, images, name=name, groups=groups, progress=TextBar("uploading"))
        write_refused(added.refused)
        job: Job = added if no_wait else watched(client, added.id)
    if as_json:
        write_answer(job)
    else:
        typer.echo(job.model_id or job.id)


def follow(
    job: Annotated[str, typer.Argument(metavar="JOB_ID", help="As `vtt remote train --no-wait` prints it.")],
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a job to its end, and print the id of the model; after a lost connection it goes on."""
    with connect(url, key) as client:
        ended = watched(client, job)
    if as_json:
        write_answer(ended)
    else:
        typer.echo(ended.model_id)


def watched(client: Client, job_id: str) -> Job:
    """Show the events of a job until it ends; return it.

    Raises:
        JobFailedError: it ended without a model.
    """
    with FinetuneBar("fine-tuning") as bar:
        for event in client.follow(job_id):
            if event.kind == "progress":
                bar.show(event.data)
            elif event.kind == "state":
                bar.say(f"{job_id} {event.data['state']}")
            elif event.kind == "interim_model":
                bar.say(f"{event.data['interim_model_id']} already predicts")
    return client.wait(job_id)


def _recipe(texts: list[str]) -> dict[str, object]:
    recipe: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise RecipeError(expected="NAME=VALUE", got=repr(text), remedy="Write it as in --set iterations=100")
        try:
            recipe[name] = json.loads(value)
        except ValueError:
            recipe[name] = value
    return recipe
