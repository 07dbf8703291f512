"""Read the images of support sets and their thumbnails from the store.

A thumbnail lies below its set's folder, so it goes with the set, and below a folder of its image, so it goes with the image.
"""

from __future__ import annotations

from contextlib import suppress

from app.dependencies import AppContext
from app.domain.errors import BlobMissingError, DiskFullError, StoreUnavailableError
from app.infra.band_columns import wish_of
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.support_sets.service import blob_prefix
from vtt_core.contract.bands import BandWish
from vtt_core.ingest.thumbnail import make_thumbnail

KEPT_SIDES = frozenset({64, 128, 256, 512, 1024})
"""Sides of thumbnails that are kept; of any other side they are made again each time, so that the store stays small."""


def delete_files(context: AppContext, support_set_id: str, image_id: str, blob_key: str) -> None:
    """Delete the bytes of an image whose row is gone, and its thumbnails."""
    context.store.delete(blob_key)
    context.store.delete_prefix(_thumbnails(context, support_set_id, image_id))


def read_image(context: AppContext, image: SupportImageRow) -> bytes:
    """Return the stored bytes of an image.

    Raises:
        NotFoundError: the image was deleted after its row was read.
        GoneError: its set was.
        BlobMissingError: the store has lost them.
    """
    try:
        return context.store.get(image.blob_key)
    except BlobMissingError:
        _check_there(context, image)
        raise


def find_thumbnail(context: AppContext, image: SupportImageRow, side: int) -> bytes | None:
    """Return a thumbnail that is in the store, or None."""
    if side not in KEPT_SIDES:
        return None
    try:
        return context.store.get(_key(context, image, side))
    except BlobMissingError:
        return None


def create_thumbnail(context: AppContext, image: SupportImageRow, side: int) -> bytes:
    """Make a thumbnail, and keep it if its side is one of `KEPT_SIDES`.

    Raises:
        NotFoundError: the image was deleted meanwhile.
        GoneError: its set was.
        BlobMissingError: the store has lost the image.
        ImageError: the limits are tighter than they were when the image came.
    """
    thumbnail = make_thumbnail(read_image(context, image), side, context.settings.limits, _wish(context, image))
    if side in KEPT_SIDES:
        # A thumbnail that cannot be kept can still be shown.
        with suppress(DiskFullError, StoreUnavailableError):
            context.disk.check_room(len(thumbnail))
            _keep(context, image, side, thumbnail)
    return thumbnail


def _wish(context: AppContext, image: SupportImageRow) -> BandWish | None:
    with context.readers() as session:
        return wish_of(SupportSetRepository(session).get(image.support_set_id))


def _keep(context: AppContext, image: SupportImageRow, side: int, thumbnail: bytes) -> None:
    key = _key(context, image, side)
    context.store.put(key, thumbnail)
    try:
        # A deletion removes rows first and files then. So either it still finds this file, or its row is gone by now.
        _check_there(context, image)
    except BaseException:
        context.store.delete(key)
        raise


def _check_there(context: AppContext, image: SupportImageRow) -> None:
    with context.readers() as session:
        repository = SupportSetRepository(session)
        repository.get(image.support_set_id)
        repository.get_image(image.support_set_id, image.id)


def _thumbnails(context: AppContext, support_set_id: str, image_id: str) -> str:
    return f"{blob_prefix(context, support_set_id)}/thumbnails/{image_id}"


def _key(context: AppContext, image: SupportImageRow, side: int) -> str:
    return f"{_thumbnails(context, image.support_set_id, image.id)}/{side}.webp"
