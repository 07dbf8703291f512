"""`vtt sample-images`: make labelled images to try everything out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.synthetic_images import PAINTERS, write_folders


def sample_images(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; one folder per class.")],
    num_images: Annotated[int, typer.Option("--images", metavar="N", min=1, help="Images of each class.")] = 15,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Start of the random numbers.")] = 0,
) -> None:
    """Make a small set of labelled images: stripes, chessboards, dots, rings and stars."""
    write_folders(folder, num_images=num_images, seed=seed)
    typer.echo(f"{num_images} images of each of {len(PAINTERS)} classes in {folder}")
