"""Let a worker hold a batch for one chunk, and take batches from workers that were lost.

As with jobs, only the holder of the newest fencing token may write the row. A chunk whose results are in the store and whose
row was not written is predicted again, to the same results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.domain.access import DEFAULT_TENANT_ID
from app.domain.batches import MAX_CHUNK_ATTEMPTS, OPEN_BATCH_STATES, BatchState
from app.domain.errors import StaleLeaseError, WorkerLostError, error_facts
from app.infra.batch_repository import FRESH, end_batch, lock_batch
from app.infra.tables import BatchRow
from app.infra.webhook_outbox import announce_batch
from vtt_core.contract.errors import VttError

RECEIVING_HOURS = 2
"""Hours after which the images of a batch whose process died while it stored them are removed."""


@dataclass(frozen=True)
class BatchLease:
    """The right to predict one chunk of a batch, until it expires or another worker claims the batch."""

    batch_id: str
    holder: str
    fencing_token: int
    attempt: int
    chunk: int
    tenant_id: str = DEFAULT_TENANT_ID
    request_id: str | None = None

    @property
    def work_id(self) -> str:
        """What is held."""
        return self.batch_id

    def renew(self, session: Session, lease_seconds: float, now: datetime) -> bool:
        """Extend the lease; return False, since a batch that is cancelled takes the lease away; raises StaleLeaseError."""
        BatchLeases(session).renew(self, lease_seconds, now)
        return False


class BatchLeases:
    """What a worker and the reaper can do with batches, in one session that is bound to no tenant; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, batch_id: str, holder: str, lease_seconds: float, now: datetime) -> BatchLease | None:
        """Claim a batch for its next chunk.

        Returns:
            The lease, or None if the batch cannot be claimed: another worker holds it, it has ended, it has to wait, its
            attempts are used up (then it fails here), or it does not exist.
        """
        row = lock_batch(self._session, batch_id)
        if row is None or row.state not in OPEN_BATCH_STATES or (row.not_before is not None and row.not_before > now):
            return None
        is_ours = row.holder == holder
        if row.holder is not None and not is_ours and not _is_expired(row, now):
            return None
        if not is_ours and self._end_if_hopeless(row, now):
            return None
        row.state, row.holder = BatchState.RUNNING, holder
        row.attempt += not is_ours
        row.fencing_token += 1
        row.lease_expires_at = now + timedelta(seconds=lease_seconds)
        row.started_at = row.started_at or now
        row.not_before = None
        self._session.flush()
        return BatchLease(batch_id, holder, row.fencing_token, row.attempt, row.next_chunk, row.tenant_id, row.request_id)

    def renew(self, lease: BatchLease, lease_seconds: float, now: datetime) -> None:
        """Extend the lease; raises StaleLeaseError."""
        self._write(lease, lease_expires_at=now + timedelta(seconds=lease_seconds))

    def finish_chunk(self, lease: BatchLease, num_images: int, num_refused: int, now: datetime) -> BatchRow:
        """Count the results of a chunk and give up the lease; after the last chunk the batch succeeds.

        Returns:
            The row; the caller sends a message if the batch has not ended.

        Raises:
            StaleLeaseError: the batch is no longer this holder's.
        """
        row = self._write(
            lease,
            next_chunk=lease.chunk + 1,
            num_done=BatchRow.num_done + num_images,
            num_refused=BatchRow.num_refused + num_refused,
            attempt=0,
            progressed_at=now,
            enqueued_at=now,
            holder=None,
            lease_expires_at=None,
        )
        if row.next_chunk >= row.num_chunks:
            end_batch(row, BatchState.SUCCEEDED, now)
            announce_batch(self._session, row, now)
        self._session.flush()
        return row

    def fail(self, lease: BatchLease, error: VttError, now: datetime) -> None:
        """End the batch with an error; raises StaleLeaseError."""
        self._fail(self._write(lease, holder=lease.holder), error, now)

    def give_back(
        self, lease: BatchLease, now: datetime, *, reason: VttError | None = None, wait_seconds: float = 0.0
    ) -> BatchState:
        """Give up the lease, so that the chunk is tried again; the caller sends a message unless it has to wait.

        Args:
            lease: the lease to give up.
            now: the current time.
            reason: why the attempt failed; after the last attempt the batch fails with it. None if the attempt does not count.
            wait_seconds: how long the batch has to wait; the reaper then sends a message.

        Raises:
            StaleLeaseError: the batch is no longer this holder's.
        """
        if reason is not None and lease.attempt >= MAX_CHUNK_ATTEMPTS:
            self.fail(lease, reason, now)
            return BatchState.FAILED
        attempt = lease.attempt if reason is not None else lease.attempt - 1
        not_before = now + timedelta(seconds=wait_seconds) if wait_seconds else None
        free = {"holder": None, "lease_expires_at": None, "enqueued_at": now}
        self._write(lease, attempt=attempt, not_before=not_before, **free)
        return BatchState.RUNNING

    def release_expired(self, now: datetime) -> list[str]:
        """Take batches from workers whose lease has expired, and let those go on that have waited long enough.

        Returns:
            Ids of those that need a message.
        """
        is_lost = BatchRow.lease_expires_at <= now
        is_due = BatchRow.not_before <= now
        statement = select(BatchRow).where(BatchRow.state.in_(OPEN_BATCH_STATES), or_(is_lost, is_due))
        released = []
        for row in self._session.scalars(statement.with_for_update(skip_locked=True), execution_options=FRESH):
            if row.holder is not None and self._end_if_hopeless(row, now):
                continue
            row.fencing_token += 1
            row.holder = row.lease_expires_at = row.not_before = None
            row.enqueued_at = now
            released.append(row.id)
        return released

    def waiting(self) -> int:
        """Return how many batches need a worker, each of which has a message in the queue unless it got lost."""
        return self._session.scalar(select(func.count()).select_from(BatchRow).where(*_WAITS)) or 0

    def unsent(self, now: datetime, after_seconds: float) -> list[str]:
        """Return waiting batches whose last message is older than `after_seconds`, oldest first, and note a new one."""
        is_old = or_(BatchRow.enqueued_at.is_(None), BatchRow.enqueued_at <= now - timedelta(seconds=after_seconds))
        statement = select(BatchRow.id).where(*_WAITS, is_old).order_by(BatchRow.created_at)
        found = list(self._session.scalars(statement))
        self._session.execute(update(BatchRow).where(BatchRow.id.in_(found), *_WAITS).values(enqueued_at=now))
        return found

    def to_clear(self, now: datetime, limit: int = 100) -> Sequence[BatchRow]:
        """Return batches whose images or results are no longer needed, those included that were never received."""
        given_up = now - timedelta(hours=RECEIVING_HOURS)
        is_given_up = (BatchRow.state == BatchState.RECEIVING) & (BatchRow.created_at <= given_up)
        statement = select(BatchRow).where(or_(BatchRow.needs_clearing, is_given_up))
        return self._session.scalars(statement.limit(limit)).all()

    def note_lost(self, batch_id: str) -> None:
        """Note that a worker may have left a result behind, if the batch was cancelled or deleted while it was at a chunk."""
        row = lock_batch(self._session, batch_id)
        if row is not None and row.state not in OPEN_BATCH_STATES:
            row.needs_clearing = True

    def note_cleared(self, batch_id: str, was_deleted: bool) -> None:
        """Note that nothing is left to clear, unless the batch was deleted since."""
        row = lock_batch(self._session, batch_id)
        if row is None:
            return
        if row.state == BatchState.RECEIVING:
            self._session.delete(row)
        elif was_deleted == (row.deleted_at is not None):
            row.needs_clearing = False

    def _write(self, lease: BatchLease, **values: Any) -> BatchRow:
        held = (BatchRow.id == lease.batch_id, BatchRow.fencing_token == lease.fencing_token, BatchRow.holder == lease.holder)
        statement = update(BatchRow).where(*held).values(**values).returning(BatchRow)
        row = self._session.scalar(statement, execution_options=FRESH)
        if row is None:
            raise StaleLeaseError(
                expected=f"fencing token {lease.fencing_token} of {lease.holder!r} on {lease.batch_id}",
                got="a batch that has been taken over, cancelled or deleted",
                remedy="Stop working on it",
            )
        return row

    def _end_if_hopeless(self, row: BatchRow, now: datetime) -> bool:
        if row.attempt < MAX_CHUNK_ATTEMPTS:
            return False
        lost = WorkerLostError(
            expected=f"a worker that predicts {row.num_images} images, each chunk within {MAX_CHUNK_ATTEMPTS} attempts",
            got=f"{row.attempt} lost workers after {row.num_done} images",
            remedy="Look at the worker's log and at the memory of its machine, then send the images again",
        )
        self._fail(row, lost, now)
        return True

    def _fail(self, row: BatchRow, error: VttError, now: datetime) -> None:
        end_batch(row, BatchState.FAILED, now)
        row.error = error_facts(error)
        announce_batch(self._session, row, now)
        self._session.flush()


_WAITS = (BatchRow.state.in_(OPEN_BATCH_STATES), BatchRow.holder.is_(None), BatchRow.not_before.is_(None))


def _is_expired(row: BatchRow, now: datetime) -> bool:
    return row.lease_expires_at is None or row.lease_expires_at <= now
