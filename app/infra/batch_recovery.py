"""Send lost batches to the workers again, and remove images and results that nobody needs any more."""

from __future__ import annotations

from datetime import datetime

import structlog

from app.domain.batches import BatchState
from app.domain.messages import BatchMessage
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_leases import BatchLeases
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.outbox import send_after_commit
from app.infra.queue import JobQueue

_log = structlog.get_logger(__name__)


def release_expired_batches(session_factory: SessionFactory, queue: JobQueue, now: datetime) -> list[str]:
    """Send batches again whose lease has expired or whose wait is over, and return their ids; Redis need not answer."""
    with session_factory.begin() as session:
        released = BatchLeases(session).release_expired(now)
        for batch_id in released:
            _log.info("batch_released", batch_id=batch_id)
            send_after_commit(session, queue, BatchMessage(batch_id))
    return released


def resend_vanished_batches(session_factory: SessionFactory, queue: JobQueue, now: datetime, after_seconds: float) -> list[str]:
    """Resend the lost messages of waiting batches and return the batches' ids; raises QueueUnavailableError."""
    depth = queue.depth(BatchMessage.queue_name)
    with session_factory.begin() as session:
        batches = BatchLeases(session)
        vanished = batches.unsent(now, after_seconds) if depth < batches.waiting() else []
        for batch_id in vanished:
            _log.warning("message_vanished", batch_id=batch_id)
            send_after_commit(session, queue, BatchMessage(batch_id))
    return vanished


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
