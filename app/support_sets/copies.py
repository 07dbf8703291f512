"""Copy support sets. A copy has bytes of its own, so that deleting either set never touches the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from app.access.quotas import check_storage
from app.dependencies import AppContext
from app.domain.errors import BlobMissingError, DiskFullError, GoneError, StoreUnavailableError
from app.domain.ids import IMAGE_PREFIX, SUPPORT_SET_PREFIX, new_id
from app.infra.band_columns import set_wish, wish_of
from app.infra.outages import DATABASE_AWAY
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets.receive import check_room
from app.support_sets.service import SupportSetView, blob_prefix, count_shots


@dataclass(frozen=True)
class Source:
    """A support set that is copied."""

    row: SupportSetRow
    images: list[SupportImageRow]

    @property
    def size_bytes(self) -> int:
        """Bytes of all its images."""
        return sum(image.size_bytes for image in self.images)


def find_source(context: AppContext, support_set_id: str) -> Source:
    """Return a support set with its images.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
    """
    with context.readers() as session:
        repository = SupportSetRepository(session)
        return Source(repository.get(support_set_id), repository.images(support_set_id))


def copy_support_set(
    context: AppContext, source: Source, name: str, now: datetime
) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Store a copy of a support set that no job has used, whether or not one has used the original.

    Args:
        context: of the caller.
        source: what is copied.
        name: of the copy; empty for that of the original.
        now: the present moment.

    Raises:
        GoneError: the original was deleted meanwhile, or the store has lost an image of it.
        QuotaExceededError: the tenant would have too much.
        DiskFullError: there is no room for it.
    """
    check_room(context, source.size_bytes)
    set_id = new_id(SUPPORT_SET_PREFIX)
    with blobs_removed_on_failure(context, set_id):
        images = [copy_image(context, image, set_id, now) for image in source.images]
        with context.sessions.begin() as session:
            repository = SupportSetRepository(session)
            repository.get(source.row.id)
            row = repository.create(name or source.row.name, now, set_id)
            row.empty_labels, row.negative_label = list(source.row.empty_labels), source.row.negative_label
            set_wish(row, wish_of(source.row))
            repository.add_images(images)
            check_storage(session, context.caller)
            return SupportSetView(row, count_shots(images)), images


def copy_image(context: AppContext, image: SupportImageRow, set_id: str, now: datetime) -> SupportImageRow:
    """Copy the bytes of an image for another set, and return the row of the copy.

    Raises:
        GoneError: the store has lost them.
    """
    values = {column.key: getattr(image, column.key) for column in SupportImageRow.__table__.columns}
    image_id = new_id(IMAGE_PREFIX)
    blob_key = f"{blob_prefix(context, set_id)}/{image_id}"
    try:
        context.store.put(blob_key, context.store.get(image.blob_key))
    except BlobMissingError as error:
        raise GoneError(
            expected="a support set whose images are all there",
            got=f"{image.support_set_id}, which has lost the image {image.file_name!r}",
            remedy="Create a support set with all classes with POST /v1/support-sets",
        ) from error
    return SupportImageRow(**values | {"id": image_id, "support_set_id": set_id, "blob_key": blob_key, "created_at": now})


@contextmanager
def blobs_removed_on_failure(context: AppContext, set_id: str) -> Iterator[None]:
    """Leave no bytes of a new set behind when the rows that would name them are not committed."""
    try:
        yield
    except DATABASE_AWAY:
        # The commit may have arrived although its answer did not, and rows without bytes are worse than bytes without rows.
        raise
    except BaseException:
        with suppress(StoreUnavailableError, DiskFullError):
            context.store.delete_prefix(blob_prefix(context, set_id))
        raise
