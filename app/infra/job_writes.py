"""Change a job row and add the event that tells its followers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import WorkerLostError, error_facts
from app.domain.jobs import FINAL_STATES, MAX_ATTEMPTS, JobState, check_transition
from app.infra.tables import JobEventRow, JobRow
from app.infra.webhook_outbox import announce_job

FRESH = {"populate_existing": True}
"""Execution options of statements that must read from the database, not from the session's memory."""


def lock_job(session: Session, job_id: str) -> JobRow | None:
    """Return the row, locked until the transaction ends, or None."""
    statement = select(JobRow).where(JobRow.id == job_id).with_for_update()
    return session.scalar(statement, execution_options=FRESH)


def end_if_hopeless(session: Session, row: JobRow, now: datetime) -> bool:
    """End a job that no worker holds if it was cancelled or has used up its attempts; return whether it has ended."""
    if row.is_cancel_requested:
        end_job(session, row, JobState.CANCELLED, now)
    elif row.attempt >= MAX_ATTEMPTS:
        reached = f", the last one at step {row.step} of {row.num_steps}" if row.num_steps else ""
        lost = WorkerLostError(
            expected=f"a worker that finishes within {MAX_ATTEMPTS} attempts",
            got=f"{row.attempt} lost workers{reached}",
            remedy="Look at the worker's log and at the memory of its machine, then create the job again",
        )
        end_job(session, row, JobState.FAILED, now, error=error_facts(lost))
    return row.state in FINAL_STATES


def end_job(session: Session, row: JobRow, target: JobState, now: datetime, error: dict[str, Any] | None = None) -> None:
    """Put a locked row into a final state, whoever holds the job."""
    check_transition(JobState(row.state), target)
    row.state = target
    row.fencing_token += 1
    row.holder, row.lease_expires_at, row.finished_at, row.error = None, None, now, error
    add_state_event(session, row, now)
    if target == JobState.FAILED:
        announce_job(session, row, now)


def add_state_event(session: Session, row: JobRow, now: datetime, **more: Any) -> None:
    """Add an event with the state that the row has now."""
    payload = {"state": str(row.state), "attempt": row.attempt, **more}
    if row.error is not None:
        payload["error"] = row.error
    session.flush()
    add_event(session, row.id, "state", payload, now)


def add_event(session: Session, job_id: str, kind: str, payload: dict[str, Any], now: datetime) -> None:
    """Add an event to a job whose row this transaction has locked or written.

    Thanks to the lock, the event ids of a job grow in the order of their commits, so a follower who asks for the events after
    an id misses none.
    """
    session.add(JobEventRow(job_id=job_id, kind=kind, payload=payload, created_at=now))
    session.flush()
