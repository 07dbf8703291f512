"""Read and write the columns that say which bands of an image are shown."""

from __future__ import annotations

from app.infra.served_models import ServedModel
from app.infra.tables import ModelRow, SupportSetRow
from vtt_core.contract.bands import BandChoice, BandWish


def wish_of(row: SupportSetRow) -> BandWish | None:
    """Return which bands the images of a support set are shown in; None for ordinary images."""
    if row.bands is None or row.stretch is None:
        return None
    red, green, blue = row.bands
    low, high = row.stretch
    return BandWish((red, green, blue), low, high)


def set_wish(row: SupportSetRow, wish: BandWish | None) -> None:
    """Write which bands the images of a support set are shown in."""
    row.bands, row.stretch = (None, None) if wish is None else (list(wish.bands), list(wish.stretch))


def choice_of(row: ModelRow | ServedModel) -> BandChoice | None:
    """Return how a model's images are shown, as its adapter says; None for ordinary images."""
    return None if row.bands is None else BandChoice.from_json(row.bands)
