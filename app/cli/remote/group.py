"""`vtt remote`: the way from images to predictions on a service that runs elsewhere."""

from __future__ import annotations

import typer

from app.cli.remote.batches import batch, result
from app.cli.remote.jobs import add_classes, follow, train
from app.cli.remote.models import alias, delete, export, models
from app.cli.remote.predictions import evaluate, predict
from app.cli.remote.sets import upload

remote = typer.Typer(help="Use a running service, here or elsewhere: --url or VTT_URL names it.", no_args_is_help=True)
for command in (upload, train, follow, predict, batch, result, evaluate, models, add_classes, alias, export, delete):
    remote.command()(command)
