"""Remove the files of batches and exports that nobody needs any more."""

from __future__ import annotations

from datetime import datetime

from app.domain.batches import BatchState
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_leases import BatchLeases
from app.infra.database import SessionFactory
from app.infra.export_leases import ExportLeases
from app.infra.object_store import ObjectStore
from app.infra.tables import ExportRow


def clear_batches(session_factory: SessionFactory, store: ObjectStore, now: datetime) -> list[str]:
    """Remove the images of batches that have ended, and everything of those that were deleted or never received.

    Returns:
        Ids of the batches that were cleared.

    Raises:
        StoreUnavailableError: the store does not answer. Calling again removes the rest.
    """
    with session_factory() as session:
        rows = list(BatchLeases(session).to_clear(now))
    for row in rows:
        was_deleted = row.deleted_at is not None
        BatchBlobs(store, row.blob_key).clear(keeps_results=row.state == BatchState.SUCCEEDED and not was_deleted)
        with session_factory.begin() as session:
            BatchLeases(session).note_cleared(row.id, was_deleted)
    return [row.id for row in rows]


def clear_exports(session_factory: SessionFactory, store: ObjectStore) -> list[str]:
    """Remove the exports of deleted models, rows and files.

    Returns:
        Ids of the exports that were removed.

    Raises:
        StoreUnavailableError: the store does not answer. Calling again removes the rest.
    """
    with session_factory() as session:
        rows = list(ExportLeases(session).of_deleted_models())
    for row in rows:
        store.delete_prefix(row.blob_key)  # before the row, which alone names the files
        with session_factory.begin() as session:
            found = session.get(ExportRow, row.id)
            if found is not None:
                session.delete(found)
    return [row.id for row in rows]
