"""Create, read, cancel and delete batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.batches import BatchState
from app.domain.errors import BatchEndedError, GoneError, NotFoundError
from app.infra.paging import fetch_page
from app.infra.tables import BatchRow

FRESH = {"populate_existing": True}


@dataclass(frozen=True)
class NewBatch:
    """A batch before its images are stored."""

    batch_id: str
    model_id: str
    name: str
    coverage: float
    false_rejects: float
    blob_key: str
    request_id: str | None = None


@dataclass(frozen=True)
class StoredImages:
    """What was stored of a batch."""

    num_images: int
    num_chunks: int
    size_bytes: int


class BatchRepository:
    """Batches in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def receive(self, new: NewBatch, now: datetime) -> BatchRow:
        """Add a batch whose images are about to be stored, so that they are found if the process dies meanwhile."""
        row = BatchRow(
            id=new.batch_id,
            model_id=new.model_id,
            name=new.name,
            state=BatchState.RECEIVING,
            coverage=new.coverage,
            false_rejects=new.false_rejects,
            blob_key=new.blob_key,
            request_id=new.request_id,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def queue(self, batch_id: str, stored: StoredImages, now: datetime) -> BatchRow:
        """Queue a batch whose images are stored; the caller sends a message for it.

        Raises:
            NotFoundError: storing took so long that the batch was given up.
        """
        row = self._lock(batch_id)
        if row is None or row.state != BatchState.RECEIVING:
            raise _unknown(batch_id)
        row.num_images, row.num_chunks, row.size_bytes = stored.num_images, stored.num_chunks, stored.size_bytes
        row.state, row.enqueued_at = BatchState.QUEUED, now
        self._session.flush()
        return row

    def drop(self, batch_id: str) -> None:
        """Remove a batch whose images could not be stored."""
        row = self._lock(batch_id)
        if row is not None and row.state == BatchState.RECEIVING:
            self._session.delete(row)
            self._session.flush()

    def get(self, batch_id: str) -> BatchRow:
        """Return a batch.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
        """
        return _checked(self._session.get(BatchRow, batch_id, populate_existing=True), batch_id)

    def list_page(self, cursor: str | None, limit: int) -> tuple[list[BatchRow], str | None]:
        """Return a page of batches that were not deleted, newest first, and the cursor of the next one."""
        statement = select(BatchRow).where(BatchRow.deleted_at.is_(None), BatchRow.state != BatchState.RECEIVING)
        return fetch_page(self._session, statement, cursor, limit)

    def cancel(self, batch_id: str, now: datetime) -> BatchRow:
        """End a batch; the chunk that a worker is at counts no more. Repeating this changes nothing.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
            BatchEndedError: it has succeeded or failed.
        """
        row = _checked(self._lock(batch_id), batch_id)
        if row.state == BatchState.CANCELLED:
            return row
        if BatchState(row.state).is_final:
            raise BatchEndedError(
                expected="a batch that has not ended",
                got=f"a batch that is {row.state}",
                remedy=f"There is nothing left to cancel; DELETE /v1/predictions/{batch_id} removes its result",
            )
        end_batch(row, BatchState.CANCELLED, now)
        self._session.flush()
        return row

    def delete(self, batch_id: str, now: datetime) -> BatchRow:
        """Mark a batch as deleted, and cancel it if it has not ended; the caller removes its images and results.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted before.
        """
        row = _checked(self._lock(batch_id), batch_id)
        if not BatchState(row.state).is_final:
            end_batch(row, BatchState.CANCELLED, now)
        row.deleted_at, row.needs_clearing = now, True
        self._session.flush()
        return row

    def _lock(self, batch_id: str) -> BatchRow | None:
        return lock_batch(self._session, batch_id)


def lock_batch(session: Session, batch_id: str) -> BatchRow | None:
    """Return the row, locked until the transaction ends, or None."""
    statement = select(BatchRow).where(BatchRow.id == batch_id).with_for_update()
    return session.scalar(statement, execution_options=FRESH)


def end_batch(row: BatchRow, target: BatchState, now: datetime) -> None:
    """Put a locked row into a final state, whoever holds the batch."""
    row.state, row.finished_at, row.needs_clearing = target, now, True
    row.fencing_token += 1
    row.holder = row.lease_expires_at = row.not_before = None


def _checked(row: BatchRow | None, batch_id: str) -> BatchRow:
    if row is None or row.state == BatchState.RECEIVING:
        raise _unknown(batch_id)
    if row.deleted_at is not None:
        raise GoneError(
            expected="a batch that exists",
            got=f"{row.id}, deleted at {row.deleted_at.isoformat(timespec='seconds')}",
            remedy="Send its images again with POST /v1/models/{model}/predictions",
        )
    return row


def _unknown(batch_id: str) -> NotFoundError:
    return NotFoundError(expected="the id of a batch", got=repr(batch_id), remedy="List the batches with GET /v1/predictions")
