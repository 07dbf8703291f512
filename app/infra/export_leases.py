"""Let a worker hold an export, and take exports from workers that were lost.

As with jobs, only the holder of the newest fencing token may write the row. An export that is made twice is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.domain.errors import StaleLeaseError, WorkerLostError, error_facts
from app.domain.exports import MAX_EXPORT_ATTEMPTS, OPEN_EXPORT_STATES, ExportState
from app.infra.batch_repository import FRESH
from app.infra.tables import ExportRow
from vtt_core.contract.errors import VttError


@dataclass(frozen=True)
class ExportLease:
    """The right to make one export, until it expires or another worker claims it."""

    export_id: str
    holder: str
    fencing_token: int
    attempt: int

    @property
    def work_id(self) -> str:
        """What is held."""
        return self.export_id

    def renew(self, session: Session, lease_seconds: float, now: datetime) -> bool:
        """Extend the lease; return False, since nobody cancels an export; raises StaleLeaseError."""
        ExportLeases(session).renew(self, lease_seconds, now)
        return False


class ExportLeases:
    """What a worker and the reaper can do with exports, in one session that is bound to no tenant; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, export_id: str, holder: str, lease_seconds: float, now: datetime) -> ExportLease | None:
        """Claim an export.

        Returns:
            The lease, or None if it cannot be claimed: another worker holds it, it has ended, its attempts are used up (then it
            fails here), or it does not exist.
        """
        statement = select(ExportRow).where(ExportRow.id == export_id).with_for_update()
        row = self._session.scalar(statement, execution_options=FRESH)
        if row is None or row.state not in OPEN_EXPORT_STATES:
            return None
        if row.lease_expires_at is not None and row.lease_expires_at > now:
            return None
        if _end_if_hopeless(row, now):
            return None
        row.state, row.holder = ExportState.RUNNING, holder
        row.attempt += 1
        row.fencing_token += 1
        row.lease_expires_at = now + timedelta(seconds=lease_seconds)
        self._session.flush()
        return ExportLease(export_id, holder, row.fencing_token, row.attempt)

    def renew(self, lease: ExportLease, lease_seconds: float, now: datetime) -> None:
        """Extend the lease; raises StaleLeaseError."""
        self._write(lease, lease_expires_at=now + timedelta(seconds=lease_seconds))

    def succeed(self, lease: ExportLease, report: dict[str, Any], size_bytes: int, now: datetime) -> None:
        """End the export, whose files are in the store; raises StaleLeaseError."""
        self._write(lease, state=ExportState.SUCCEEDED, report=report, size_bytes=size_bytes, **_ended(now))

    def fail(self, lease: ExportLease, error: VttError, now: datetime) -> None:
        """End the export with an error; raises StaleLeaseError."""
        self._write(lease, state=ExportState.FAILED, error=error_facts(error), **_ended(now))

    def give_back(self, lease: ExportLease, now: datetime, reason: VttError | None = None) -> bool:
        """Give up the lease, so that the export is tried again.

        Args:
            lease: the lease to give up.
            now: the current time.
            reason: why the attempt failed; after the last attempt the export fails with it. None if the attempt does not count.

        Returns:
            Whether the caller has to send a message.

        Raises:
            StaleLeaseError: the export is no longer this holder's.
        """
        if reason is not None and lease.attempt >= MAX_EXPORT_ATTEMPTS:
            self.fail(lease, reason, now)
            return False
        attempt = lease.attempt if reason is not None else lease.attempt - 1
        self._write(lease, state=ExportState.QUEUED, attempt=attempt, enqueued_at=now, holder=None, lease_expires_at=None)
        return True

    def release_expired(self, now: datetime) -> list[str]:
        """Take exports from workers whose lease has expired; return the ids of those that need a message."""
        statement = select(ExportRow).where(ExportRow.state == ExportState.RUNNING, ExportRow.lease_expires_at <= now)
        released = []
        for row in self._session.scalars(statement.with_for_update(skip_locked=True), execution_options=FRESH):
            if _end_if_hopeless(row, now):
                continue
            row.fencing_token += 1
            row.state, row.enqueued_at = ExportState.QUEUED, now
            row.holder = row.lease_expires_at = None
            released.append(row.id)
        return released

    def waiting(self) -> int:
        """Return how many exports need a worker, each of which has a message in the queue unless it got lost."""
        return self._session.scalar(select(func.count()).select_from(ExportRow).where(_WAITS)) or 0

    def unsent(self, now: datetime, after_seconds: float) -> list[str]:
        """Return waiting exports whose last message is older than `after_seconds`, oldest first, and note a new one."""
        is_old = or_(ExportRow.enqueued_at.is_(None), ExportRow.enqueued_at <= now - timedelta(seconds=after_seconds))
        found = list(self._session.scalars(select(ExportRow.id).where(_WAITS, is_old).order_by(ExportRow.created_at)))
        self._session.execute(update(ExportRow).where(ExportRow.id.in_(found), _WAITS).values(enqueued_at=now))
        return found

    def of_deleted_models(self, limit: int = 100) -> Sequence[ExportRow]:
        """Return exports whose model was deleted, except those that a worker is at, who still writes their files."""
        statement = select(ExportRow).where(ExportRow.needs_clearing, ExportRow.state != ExportState.RUNNING)
        return self._session.scalars(statement.limit(limit)).all()

    def _write(self, lease: ExportLease, **values: Any) -> None:
        held = (
            ExportRow.id == lease.export_id,
            ExportRow.fencing_token == lease.fencing_token,
            ExportRow.holder == lease.holder,
        )
        statement = update(ExportRow).where(*held).values(**values).returning(ExportRow.id)
        if self._session.scalar(statement) is None:
            raise StaleLeaseError(
                expected=f"fencing token {lease.fencing_token} of {lease.holder!r} on {lease.export_id}",
                got="an export that has been taken over or deleted",
                remedy="Stop working on it",
            )


_WAITS = ExportRow.state == ExportState.QUEUED


def _ended(now: datetime) -> dict[str, Any]:
    return {"finished_at": now, "holder": None, "lease_expires_at": None}


def _end_if_hopeless(row: ExportRow, now: datetime) -> bool:
    if row.attempt < MAX_EXPORT_ATTEMPTS:
        return False
    lost = WorkerLostError(
        expected=f"a worker that exports the model within {MAX_EXPORT_ATTEMPTS} attempts",
        got=f"{row.attempt} lost workers",
        remedy="Look at the worker's log and at the memory of its machine, then ask for the export again",
    )
    row.state, row.error, row.finished_at = ExportState.FAILED, error_facts(lost), now
    row.holder = row.lease_expires_at = None
    return True
