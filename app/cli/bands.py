"""Options for images of many bands: `--bands` and `--stretch`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from app.cli.selection import Selection
from vtt_core.contract.bands import BandChoice
from vtt_core.ingest.band_images import show_images, show_support

BandsOption = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        help="Bands of TIFFs that are shown as red, green and blue, counted from 1, as in 4,3,2; one band is shown as grey.",
    ),
]
StretchOption = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH",
        help="With --bands: percentiles of the support images that become black and white; 2,98 without it.",
    ),
]


def in_bands(selection: Selection, choice: BandChoice) -> Selection:
    """Return the selection with a PNG of the chosen bands in place of each image."""
    shown = show_images([query.image for query in selection.query_images], choice)
    queries = tuple(replace(query, image=image) for query, image in zip(selection.query_images, shown, strict=True))
    return replace(selection, support_set=show_support(selection.support_set, choice), query_images=queries)
