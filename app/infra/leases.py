"""Let a worker hold a job: only the holder of its newest fencing token may write the row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.access import DEFAULT_TENANT_ID
from app.domain.errors import StaleLeaseError, error_facts
from app.domain.jobs import FINAL_STATES, HELD_STATES, MAX_ATTEMPTS, JobState, check_transition, sources_of
from app.domain.webhooks import Event
from app.infra.job_writes import FRESH, add_event, add_state_event, end_if_hopeless, lock_job
from app.infra.tables import JobRow, ModelRow
from app.infra.webhook_outbox import announce, announce_job
from vtt_core.contract.errors import VttError
from vtt_core.contract.progress import StepReport


@dataclass(frozen=True)
class Lease:
    """The right to work on a job, until it expires or another worker claims the job."""

    job_id: str
    holder: str
    fencing_token: int
    attempt: int
    tenant_id: str = DEFAULT_TENANT_ID
    """Owner of the job."""
    request_id: str | None = None
    """Id of the request that created the job; None for jobs of older versions."""
    traceparent: str | None = None
    """Trace context of that request, if it was traced."""

    @property
    def work_id(self) -> str:
        """What is held."""
        return self.job_id

    def renew(self, session: Session, lease_seconds: float, now: datetime) -> bool:
        """Extend the lease; see `LeaseRepository.renew`."""
        return LeaseRepository(session).renew(self, lease_seconds, now)


class LeaseRepository:
    """What a worker can do with a job, in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, job_id: str, holder: str, lease_seconds: float, now: datetime) -> Lease | None:
        """Claim the job if it is queued or its lease has expired.

        A holder that claims a job again had lost its connection, and did not learn that its first claim had succeeded. It
        goes on in the same attempt.

        Returns:
            The lease, or None if the job cannot be claimed: another worker holds it, it has ended, it was cancelled, its
            attempts are used up (then it fails here), or it does not exist.
        """
        row = lock_job(self._session, job_id)
        if row is None or row.state in FINAL_STATES:
            return None
        is_held = row.state in HELD_STATES
        is_ours = is_held and row.holder == holder
        if is_held and not is_ours and not _is_expired(row, now):
            return None
        if not is_ours and end_if_hopeless(self._session, row, now):
            return None
        check_transition(JobState(row.state), JobState.RUNNING)
        row.state = JobState.RUNNING
        row.attempt += not is_ours
        row.fencing_token += 1
        row.holder = holder
        row.lease_expires_at = now + timedelta(seconds=lease_seconds)
        row.started_at = row.started_at or now
        add_state_event(self._session, row, now)
        return Lease(job_id, holder, row.fencing_token, row.attempt, row.tenant_id, row.request_id, row.traceparent)

    def renew(self, lease: Lease, lease_seconds: float, now: datetime) -> bool:
        """Extend the lease.

        Returns:
            Whether the user wants the job cancelled.

        Raises:
            StaleLeaseError: the job is no longer this holder's.
        """
        return self._write(lease, HELD_STATES, lease_expires_at=now + timedelta(seconds=lease_seconds)).is_cancel_requested

    def report_progress(self, lease: Lease, report: StepReport, seconds_left: float | None, now: datetime) -> bool:
        """Write the progress after a step.

        Returns:
            Whether the user wants the job cancelled.

        Raises:
            StaleLeaseError: the job is no longer this holder's.
        """
        progress = {**report.to_json(), "seconds_left": seconds_left}
        row = self._write(lease, frozenset({JobState.RUNNING}), step=report.step, num_steps=report.num_steps, progress=progress)
        add_event(self._session, lease.job_id, "progress", progress, now)
        return row.is_cancel_requested

    def begin_verifying(self, lease: Lease, now: datetime) -> None:
        """Go from running to verifying; raises StaleLeaseError and JobTransitionError."""
        self._move(lease, JobState.VERIFYING, now)

    def publish_interim(self, lease: Lease, model: ModelRow, now: datetime) -> None:
        """Publish a model that serves until the job's own is there; raises StaleLeaseError."""
        self._write(lease, frozenset({JobState.RUNNING}), holder=lease.holder)  # locks the row: nobody else claims the job
        self._session.add(model)
        add_event(self._session, lease.job_id, "interim_model", {"interim_model_id": model.id}, now)

    def succeed(self, lease: Lease, model: ModelRow, now: datetime) -> None:
        """Publish the model, delete the interim one, and end the job, in one transaction.

        Raises:
            StaleLeaseError: the job is no longer this holder's.
            JobTransitionError: it is in another state.
        """
        row = self._write(lease, sources_of(JobState.SUCCEEDED), target=JobState.SUCCEEDED, **_ended(now))
        replaced = (ModelRow.job_id == lease.job_id, ModelRow.is_interim, ModelRow.deleted_at.is_(None))
        self._session.execute(update(ModelRow).where(*replaced).values(deleted_at=now))
        self._session.add(model)
        add_state_event(self._session, row, now, model_id=model.id)
        announce_job(self._session, row, now, model_id=model.id)
        facts = {"model_id": model.id, "job_id": row.id, "name": model.name, "labels": model.labels}
        announce(self._session, row.tenant_id, Event.MODEL_PUBLISHED, facts, now)

    def fail(self, lease: Lease, error: VttError, now: datetime) -> None:
        """End the job with an error; raises StaleLeaseError and JobTransitionError."""
        row = self._move(lease, JobState.FAILED, now, error=error_facts(error), **_ended(now))
        announce_job(self._session, row, now)

    def cancel_by_worker(self, lease: Lease, now: datetime) -> None:
        """End the job because its user cancelled it; raises StaleLeaseError and JobTransitionError."""
        self._move(lease, JobState.CANCELLED, now, **_ended(now))

    def requeue(self, lease: Lease, now: datetime, *, reason: VttError | None = None) -> JobState:
        """Give up the lease and queue the job again; the caller sends a message for it.

        Args:
            lease: the lease to give up.
            now: the current time.
            reason: why the attempt failed; after the last attempt the job fails with this error. None if the worker has to
                stop or cannot reach the database or store: then the attempt does not count.

        Returns:
            The new state: queued or failed.

        Raises:
            StaleLeaseError: the job is no longer this holder's.
        """
        if reason is not None and lease.attempt >= MAX_ATTEMPTS:
            self.fail(lease, reason, now)
            return JobState.FAILED
        attempt = lease.attempt if reason is not None else lease.attempt - 1
        free = {"holder": None, "lease_expires_at": None, "enqueued_at": now, "attempt": attempt}
        self._move(lease, JobState.QUEUED, now, **free)
        return JobState.QUEUED

    def _move(self, lease: Lease, target: JobState, now: datetime, **values: Any) -> JobRow:
        row = self._write(lease, sources_of(target), target=target, **values)
        add_state_event(self._session, row, now)
        return row

    def _write(
        self,
        lease: Lease,
        sources: frozenset[JobState],
        *,
        target: JobState | None = None,
        **values: Any,
    ) -> JobRow:
        if target is not None:
            values["state"] = target
        held = (JobRow.id == lease.job_id, JobRow.fencing_token == lease.fencing_token, JobRow.holder == lease.holder)
        statement = update(JobRow).where(*held, JobRow.state.in_(sources)).values(**values).returning(JobRow)
        row = self._session.scalar(statement, execution_options=FRESH)
        if row is not None:
            return row
        state = self._session.scalar(select(JobRow.state).where(*held))
        if state is not None and target is not None and state not in FINAL_STATES:
            check_transition(JobState(state), target)
        raise StaleLeaseError(
            expected=f"fencing token {lease.fencing_token} of {lease.holder!r} on {lease.job_id}",
            got="a job that has been taken over or has ended",
            remedy="Stop working on it",
        )


def _is_expired(row: JobRow, now: datetime) -> bool:
    return row.lease_expires_at is None or row.lease_expires_at <= now


def _ended(now: datetime) -> dict[str, Any]:
    return {"holder": None, "lease_expires_at": None, "finished_at": now}
