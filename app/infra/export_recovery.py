"""Send lost exports to the workers again, and remove those of deleted models."""

from __future__ import annotations

from datetime import datetime

import structlog

from app.domain.messages import ExportMessage
from app.infra.database import SessionFactory
from app.infra.export_leases import ExportLeases
from app.infra.object_store import ObjectStore
from app.infra.outbox import send_after_commit
from app.infra.queue import JobQueue
from app.infra.tables import ExportRow

_log = structlog.get_logger(__name__)


def release_expired_exports(session_factory: SessionFactory, queue: JobQueue, now: datetime) -> list[str]:
    """Send exports again whose lease has expired, and return their ids; Redis need not answer."""
    with session_factory.begin() as session:
        released = ExportLeases(session).release_expired(now)
        for export_id in released:
            _log.info("export_released", export_id=export_id)
            send_after_commit(session, queue, ExportMessage(export_id))
    return released


def resend_vanished_exports(session_factory: SessionFactory, queue: JobQueue, now: datetime, after_seconds: float) -> list[str]:
    """Resend the lost messages of waiting exports and return the exports' ids; raises QueueUnavailableError."""
    depth = queue.depth(ExportMessage.queue_name)
    with session_factory.begin() as session:
        exports = ExportLeases(session)
        vanished = exports.unsent(now, after_seconds) if depth < exports.waiting() else []
        for export_id in vanished:
            _log.warning("message_vanished", export_id=export_id)
            send_after_commit(session, queue, ExportMessage(export_id))
    return vanished


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
