"""Options for images of many bands: `--bands` and `--stretch`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from app.cli.selection import Selection
from vtt_core.contract.bands import MAX_BANDS, BandChoice
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.contract.support_set import SupportImage
from vtt_core.ingest.decode import band_values, decode_image

BandsOption = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Bands of TIFFs that are shown as red, green and blue, counted from 1, as in 4,3,2."),
]
StretchOption = Annotated[
    str,
    typer.Option(metavar="LOW,HIGH", help="With --bands: percentiles of the support images that become black and white."),
]
USUAL_STRETCH = "2,98"


@dataclass(frozen=True)
class BandWish:
    """What the options ask for."""

    bands: tuple[int, int, int]
    low_percentile: float
    high_percentile: float


def wished_bands(bands: str | None, stretch: str) -> BandWish | None:
    """Return what the options ask for; None without `--bands`.

    Raises:
        BadParameter: one of them cannot be read.
    """
    if bands is None:
        if stretch != USUAL_STRETCH:
            raise typer.BadParameter("It needs --bands.", param_hint="--stretch")
        return None
    chosen = _numbers(bands, 3, "--bands", "three numbers such as 4,3,2")
    if not all(band.is_integer() and 1 <= band <= MAX_BANDS for band in chosen):
        raise typer.BadParameter(f"Bands are counted from 1 to {MAX_BANDS}.", param_hint="--bands")
    low, high = _numbers(stretch, 2, "--stretch", "two percentiles such as 2,98")
    if not 0 <= low < high <= 100:
        raise typer.BadParameter("Percentiles lie between 0 and 100, the lower one first.", param_hint="--stretch")
    red, green, blue = map(int, chosen)
    return BandWish((red, green, blue), low, high)


def measured_bands(selection: Selection, wish: BandWish) -> BandChoice:
    """Measure black and white on the support images: once, so that prediction does as training did.

    Raises:
        ImageError: an image is no TIFF with these bands.
        UnsupportedKindError: every pixel is missing.
    """
    from vtt_core.ingest.band_values import measure_range  # noqa: PLC0415  # numpy: see vtt_core/ingest/samples.py

    values = [band_values(image.encoded, wish.bands) for image in _support_images(selection)]
    try:
        black, white = measure_range(values, wish.low_percentile, wish.high_percentile)
    except ValueError as error:
        raise UnsupportedKindError(
            expected="images with pixels", got="images whose every pixel is missing", remedy="Leave them out"
        ) from error
    return BandChoice(wish.bands, black, white)


def in_bands(selection: Selection, choice: BandChoice) -> Selection:
    """Return the selection with a PNG of the chosen bands in place of each image."""
    support_set = selection.support_set
    classes = tuple(replace(known, images=tuple(_shown(known.images, choice))) for known in support_set.classes)
    negatives = tuple(_shown(support_set.negatives, choice))
    shown = (_shown([query.image], choice) for query in selection.query_images)
    queries = tuple(replace(query, image=image) for query, (image,) in zip(selection.query_images, shown, strict=True))
    return replace(selection, support_set=replace(support_set, classes=classes, negatives=negatives), query_images=queries)


def _support_images(selection: Selection) -> Iterable[SupportImage]:
    for known in selection.support_set.classes:
        yield from known.images
    yield from selection.support_set.negatives


def _shown(images: Iterable[SupportImage], choice: BandChoice) -> Iterable[SupportImage]:
    for image in images:
        buffer = io.BytesIO()
        decode_image(image.encoded, bands=choice).save(buffer, "PNG")
        yield replace(image, encoded=buffer.getvalue())


def _numbers(text: str, count: int, option: str, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise typer.BadParameter(f"{text!r} is not {example}.", param_hint=option)
    return numbers
