"""`vtt remote batch` and `vtt remote result`: have many images classified while you do something else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import stderr_console
from app.cli.predict import CoverageOption, FalseRejectsOption
from app.cli.remote.predictions import CsvOption, write_predictions
from app.cli.remote.service import OWN_SERVICE, JsonOption, KeyOption, ModelArgument, UrlOption, connect, write_answer
from vtt_client import Client, TextBar
from vtt_client.background_models import Batch
from vtt_core.contract.serving import DEFAULT_COVERAGE


def batch(
    model: ModelArgument,
    images: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP|IMAGE", help="Images in folders of any kind, or a zip.")],
    name: Annotated[str, typer.Option(help="What you call the batch.")] = "",
    coverage: CoverageOption = DEFAULT_COVERAGE,
    false_rejects: FalseRejectsOption = None,
    csv: CsvOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the id of the batch at once.")] = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify many images in the background, and print what was found. Ctrl-C leaves the batch running.

    With --no-wait it prints the id of the batch, which `vtt remote result` takes. Images that cannot be used are named, the
    others are classified, and the exit code is 2.
    """
    with connect(url, key) as client:
        started = client.start_batch(
            model,
            images,
            name=name or images.name[:200],
            coverage=coverage,
            false_rejects=false_rejects,
            progress=TextBar("uploading"),
        )
        if not no_wait:
            stderr_console().print(f"{started.id} has {started.total} files", markup=False)
            _write_result(client, started.id, csv, as_json=as_json)
        elif as_json:
            write_answer(started)
        else:
            typer.echo(started.id)


def result(
    batch: Annotated[str, typer.Argument(metavar="BATCH_ID", help="As `vtt remote batch --no-wait` prints it.")],
    csv: CsvOption = None,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait for a batch, and print what was found; otherwise as `vtt remote batch`."""
    with connect(url, key) as client:
        _write_result(client, batch, csv, as_json=as_json)


def _write_result(client: Client, batch_id: str, csv: Path | None, *, as_json: bool) -> None:
    bar = TextBar("predicting")

    def show(found: Batch) -> None:
        bar(found.done, found.total)

    client.wait_for_batch(batch_id, progress=show)
    write_predictions(client.batch_result(batch_id), csv, as_json=as_json)
