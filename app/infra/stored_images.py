"""Remove the metadata of stored images that were uploaded by a version that did not remove it.

This may be interrupted and repeated at any point, and run while the service runs. A blob is replaced while its row is locked,
so an image that is being deleted does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from app.domain.errors import BlobMissingError
from app.infra.band_columns import wish_of
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.tables import SupportImageRow, SupportSetRow
from vtt_core.contract.bands import BandWish
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.band_images import own_bands
from vtt_core.ingest.strip_metadata import CleanImage, clean_image

_IDS_AT_ONCE = 500


@dataclass(frozen=True)
class CleanedImage:
    """The result for one stored image."""

    image_id: str
    blob_key: str
    bytes_removed: int = 0
    has_changed: bool = False
    error: VttError | None = None
    """Why the image could not be cleaned; it was left unchanged."""


def count_images(session_factory: SessionFactory) -> int:
    """Return the number of images of all tenants."""
    with session_factory() as session:
        return session.scalar(select(func.count()).select_from(SupportImageRow)) or 0


def clean_stored_images(
    session_factory: SessionFactory, store: ObjectStore, limits: Limits, *, is_dry_run: bool = False
) -> Iterator[CleanedImage]:
    """Clean the images of all tenants one by one, and yield the result for each.

    Args:
        session_factory: opens the database with the rows.
        store: holds the bytes.
        limits: limits on one image, as for uploads.
        is_dry_run: read the images, but change nothing.

    Raises:
        StoreUnavailableError: the store does not answer. Running this again cleans the rest.
    """
    for image_id, blob_key, wish in _images(session_factory):
        try:
            stored = store.get(blob_key)
            clean = clean_image(stored, limits, None if wish is None else own_bands(stored, wish, limits))
        except VttError as error:
            if not _is_about_the_image(error):
                raise
            if _still_there(session_factory, image_id):
                yield CleanedImage(image_id, blob_key, error=error)
            continue
        if not is_dry_run and not _replace(session_factory, store, image_id, stored, clean):
            continue
        removed = len(stored) - len(clean.content)
        yield CleanedImage(image_id, blob_key, removed, has_changed=clean.content != stored)


def _is_about_the_image(error: VttError) -> bool:
    return isinstance(error, BlobMissingError) or error.code.startswith("image.")


def _images(session_factory: SessionFactory) -> Iterator[tuple[str, str, BandWish | None]]:
    """Yield (id, blob key, bands) in the order of the ids, read in batches so that no transaction stays open."""
    last_id = ""
    while True:
        statement = select(SupportImageRow, SupportSetRow).join(
            SupportSetRow, SupportSetRow.id == SupportImageRow.support_set_id
        )
        statement = statement.where(SupportImageRow.id > last_id).order_by(SupportImageRow.id).limit(_IDS_AT_ONCE)
        with session_factory() as session:
            found = [(image.id, image.blob_key, wish_of(support_set)) for image, support_set in session.execute(statement)]
        yield from found
        if not found:
            return
        last_id = found[-1][0]


def _still_there(session_factory: SessionFactory, image_id: str) -> bool:
    with session_factory() as session:
        return session.get(SupportImageRow, image_id) is not None


def _replace(session_factory: SessionFactory, store: ObjectStore, image_id: str, stored: bytes, clean: CleanImage) -> bool:
    """Store the clean bytes and correct the row; return False if the image has been deleted meanwhile.

    To delete an image, the service removes its row first and then its blob. So the blob stays while the row is locked here.
    """
    with session_factory.begin() as session:
        row = session.scalar(select(SupportImageRow).where(SupportImageRow.id == image_id).with_for_update())
        if row is None:
            return False
        if clean.content != stored:
            store.put(row.blob_key, clean.content)
        # Also if the bytes are clean already: an earlier run may have ended before it corrected the row.
        row.size_bytes, row.image_format = len(clean.content), clean.facts.image_format
        return True
