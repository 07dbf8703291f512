"""Open the labelled images that a benchmark uses: `--data`, `--names`, `--by-patient`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.names_file import read_names

if TYPE_CHECKING:
    from vtt_core.bench.datasets.labelled_image import LabelledImage

DataOption = Annotated[
    str,
    typer.Option(
        metavar="[NAME=]PATH", help="Folder or zip with a folder per class, or a data set by name, as in chestx=FOLDER."
    ),
]
NamesOption = Annotated[Path | None, typer.Option(metavar="FILE", help="JSON: folder name to class name.")]
PatientOption = Annotated[
    bool,
    typer.Option(
        "--by-patient",
        help="Use no patient both as support and as query; in plain class folders, files are called `<patient>_<number>`.",
    ),
]


@contextmanager
def open_data(
    data: str, names: str | Path | None, *, by_patient: bool = False, shard: str | None = None
) -> Iterator[Sequence[LabelledImage]]:
    """Open labelled images; they can be read inside the `with` block.

    Args:
        data: value of `--data`.
        names: JSON file of class names by folder.
        by_patient: give each image its group.
        shard: of the classes, as in 1/2; None for all.

    Raises:
        InputError: the data or the names cannot be used.
    """
    # Imports torch, which takes seconds; other commands do without.
    from vtt_core.bench.datasets.open import open_labelled_images, parse_data_option  # noqa: PLC0415
    from vtt_core.bench.episodes.class_shard import class_shard  # noqa: PLC0415

    chosen = None
    if names is not None:
        with open_labelled_images(data) as images:
            folders = list(dict.fromkeys(image.name.partition("/")[0] for image in images))
        chosen = read_names(Path(names), parse_data_option(data)[1], folders)
    with open_labelled_images(data, names=chosen, by_patient=by_patient) as images:
        yield images if shard is None else class_shard(images, shard)
