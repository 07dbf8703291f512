"""`vtt remote upload`: send labelled images to a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.bands import BandsOption, StretchOption
from app.cli.console import stderr_console
from app.cli.groups_file import GroupPatientOption, GroupsOption
from app.cli.remote.service import OWN_SERVICE, JsonOption, KeyOption, UrlOption, connect, write_answer
from vtt_client import TextBar
from vtt_client.models import ImageResult, Upload
from vtt_core.contract.bands import read_band_wish


def upload(
    images: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Labelled images, a folder per class.")],
    name: Annotated[str, typer.Option(help="What you call the support set.")] = "",
    negative: Annotated[str | None, typer.Option(metavar="LABEL", help="Class whose images show none of the others.")] = None,
    bands: BandsOption = None,
    stretch: StretchOption = None,
    groups: GroupsOption = None,
    group_patient: GroupPatientOption = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send labelled images as a new support set, and print its id."""
    wish = read_band_wish(bands, stretch)
    with connect(url, key) as client:
        made = client.upload(
            images,
            name=name or images.name[:200],
            negative=negative,
            bands=None if wish is None else wish.bands,
            stretch=None if wish is None else wish.stretch,
            groups=groups,
            group_by="patient" if group_patient else None,
            progress=TextBar("uploading"),
        )
    write_remarks(made)
    if as_json:
        write_answer(made)
    else:
        typer.echo(made.id)


def write_remarks(made: Upload) -> None:
    """Name on standard error what was refused or could be better."""
    console = stderr_console()
    write_refused(made.refused)
    for sentence in [*made.notices, *(f"label {one.label!r}: {one.message}" for one in made.advice)]:
        console.print(sentence, style="yellow", markup=False)
    for label in made.empty_classes:
        console.print(f"class {label!r} has no usable image", style="yellow", markup=False)


def write_refused(refused: Sequence[ImageResult]) -> None:
    """Name on standard error the images that could not be used."""
    for one in refused:
        what = one.file if one.count == 1 else f"{one.count} files such as {one.file}"
        line = f"left out {what}: expected {one.expected}, got {one.got}. {one.remedy}."
        stderr_console().print(line, style="yellow", markup=False)
