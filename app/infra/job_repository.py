"""Create, read and recover jobs; the row is the truth, queue messages are only hints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import JSON, Integer, and_, cast, delete, func, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain.errors import GoneError, IdempotencyConflictError, JobTransitionError, NotFoundError
from app.domain.ids import JOB_PREFIX, new_id
from app.domain.jobs import HELD_STATES, UNFINISHED_STATES, JobState, check_transition
from app.infra.job_writes import FRESH, add_state_event, end_if_hopeless, end_job, lock_job
from app.infra.paging import fetch_page
from app.infra.tables import JobEventRow, JobRow
from vtt_core.contract.recipe import FinetuneRecipe


@dataclass(frozen=True)
class NewJob:
    """What a user asks for."""

    support_set_id: str
    backbone_id: str
    recipe: FinetuneRecipe
    seed: int
    request_sha256: str
    """Digest of the request; the same Idempotency-Key must come with the same one."""
    name: str = ""
    idempotency_key: str | None = None
    request_id: str | None = None
    """Id of the request that creates the job."""
    traceparent: str | None = None
    """Trace context of that request."""
    base_model_id: str | None = None
    """Model whose tower is taken as it is."""


class JobRepository:
    """Jobs and their events in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def taken_names(self, names: Iterable[str]) -> set[str]:
        """Return those of the names that a job has which was not deleted."""
        has_name = JobRow.name.in_(list(names))
        return set(self._session.scalars(select(JobRow.name).where(has_name, JobRow.deleted_at.is_(None)).distinct()))

    def states_by_set(self, support_set_ids: Iterable[str]) -> dict[str, set[JobState]]:
        """Return the states of the jobs of each support set, of deleted jobs too."""
        statement = select(JobRow.support_set_id, JobRow.state).where(JobRow.support_set_id.in_(list(support_set_ids)))
        states: dict[str, set[JobState]] = {}
        for support_set_id, state in self._session.execute(statement.distinct()).all():
            states.setdefault(support_set_id, set()).add(JobState(state))
        return states

    def create(self, new_job: NewJob, now: datetime) -> tuple[JobRow, bool]:
        """Add a queued job, or return the one that was created with the same Idempotency-Key.

        Returns:
            The row, and whether it is new. Only a new one needs a message.

        Raises:
            IdempotencyConflictError: the key was used for a different request.
            GoneError: the job that was created with the key was deleted.
        """
        if (known := self.find_same_request(new_job.idempotency_key, new_job.request_sha256)) is not None:
            return known, False
        row = JobRow(
            id=new_id(JOB_PREFIX),
            support_set_id=new_job.support_set_id,
            name=new_job.name,
            backbone_id=new_job.backbone_id,
            recipe=new_job.recipe.to_json(),
            seed=new_job.seed,
            state=JobState.QUEUED,
            num_steps=0 if new_job.base_model_id else new_job.recipe.num_steps,
            base_model_id=new_job.base_model_id,
            idempotency_key=new_job.idempotency_key,
            request_sha256=new_job.request_sha256,
            request_id=new_job.request_id,
            traceparent=new_job.traceparent,
            enqueued_at=now,
            created_at=now,
        )
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            if (known := self.find_same_request(new_job.idempotency_key, new_job.request_sha256)) is not None:
                return known, False
            raise
        add_state_event(self._session, row, now)
        return row, True

    def find_same_request(self, idempotency_key: str | None, request_sha256: str) -> JobRow | None:
        """Return the job that the same request has created before, or None.

        Raises:
            IdempotencyConflictError: the key was used for a different request.
            GoneError: the job was deleted.
        """
        if idempotency_key is None:
            return None
        row = self._session.scalar(select(JobRow).where(JobRow.idempotency_key == idempotency_key))
        if row is not None and row.request_sha256 != request_sha256:
            raise IdempotencyConflictError(
                expected="the request for which this Idempotency-Key was used first",
                got=f"a different request with the key {idempotency_key!r}",
                remedy="Use a new key for a new request",
            )
        if row is not None and row.deleted_at is not None:
            raise GoneError(
                expected="an Idempotency-Key whose job exists",
                got=f"that of {row.id}, deleted at {row.deleted_at.isoformat(timespec='seconds')}",
                remedy="To start such a job again, use a new key",
            )
        return row

    def get(self, job_id: str) -> JobRow:
        """Return the job.

        Raises:
            NotFoundError: no job has this id.
            GoneError: it was deleted.
        """
        row = self.get_even_deleted(job_id)
        _check_not_deleted(row)
        return row

    def get_even_deleted(self, job_id: str) -> JobRow:
        """Return the job, deleted or not: a model's row tells less than its job's, and outlives the job.

        Raises:
            NotFoundError: no job has this id.
        """
        row = self._session.get(JobRow, job_id)
        if row is None:
            raise NotFoundError(expected="the id of a job", got=repr(job_id), remedy="List the jobs with GET /v1/jobs")
        return row

    def list_page(self, cursor: str | None, limit: int) -> tuple[list[JobRow], str | None]:
        """Return a page of jobs that were not deleted, newest first, and the cursor of the next one."""
        return fetch_page(self._session, select(JobRow).where(JobRow.deleted_at.is_(None)), cursor, limit)

    def latest_succeeded(self, backbone_id: str, limit: int) -> list[JobRow]:
        """Return the jobs on this backbone that succeeded last and started anew, the latest first."""
        has_run = and_(JobRow.state == JobState.SUCCEEDED, JobRow.started_at.is_not(None), JobRow.base_model_id.is_(None))
        statement = select(JobRow).where(JobRow.backbone_id == backbone_id, has_run)
        return list(self._session.scalars(statement.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)))

    def events_after(self, job_id: str, event_id: int, limit: int = 500) -> list[JobEventRow]:
        """Return the job's events with larger ids, oldest first."""
        statement = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.id > event_id)
        return list(self._session.scalars(statement.order_by(JobEventRow.id).limit(limit)))

    def events_after_each(self, last_ids: Mapping[str, int], limit: int) -> list[JobEventRow]:
        """Return the events of many jobs with one statement, oldest first.

        Args:
            last_ids: for each job, the id of the event after which to read; at least one job.
            limit: largest number of events, of all jobs together.
        """
        # One parameter for all jobs: with two for each, the statement would be compiled anew each time.
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        given = literal(json.dumps(dict(last_ids)))
        seen = (func.json_each(given) if is_sqlite else func.json_each_text(cast(given, JSON))).table_valued("key", "value")
        is_new = and_(JobEventRow.job_id == seen.c.key, JobEventRow.id > cast(seen.c.value, Integer))
        return list(self._session.scalars(select(JobEventRow).join(seen, is_new).order_by(JobEventRow.id).limit(limit)))

    def newest_event(self, job_id: str) -> JobEventRow | None:
        """Return the job's last event so far."""
        statement = select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(JobEventRow.id.desc())
        return self._session.scalar(statement.limit(1))

    def queue_places(self, job_ids: Iterable[str]) -> dict[str, int]:
        """Return the place of each of these jobs in the queue, 1 for the next one; a job that does not wait has none.

        The jobs of all tenants wait in one queue, so all are counted; nothing else of them is read.
        """
        jobs = JobRow.__table__  # a statement on the table and not on the class counts the jobs of all tenants
        order = func.row_number().over(order_by=(func.coalesce(jobs.c.enqueued_at, jobs.c.created_at), jobs.c.id))
        waiting = select(jobs.c.id, order.label("place")).where(jobs.c.state == JobState.QUEUED).subquery()
        found = self._session.execute(select(waiting.c.id, waiting.c.place).where(waiting.c.id.in_(list(job_ids))))
        return {job_id: place for job_id, place in found.all()}

    def has_unfinished_for(self, support_set_id: str) -> bool:
        """Return whether a job that has not ended uses the support set."""
        statement = select(JobRow.id).where(JobRow.support_set_id == support_set_id, JobRow.state.in_(UNFINISHED_STATES))
        return self._session.scalar(statement.limit(1)) is not None

    def request_cancel(self, job_id: str, now: datetime) -> JobRow:
        """Cancel a queued job at once, or ask the worker of a running one to stop. Repeating this changes nothing.

        Raises:
            NotFoundError: no job has this id.
            GoneError: it was deleted.
            JobTransitionError: the job has succeeded or failed.
        """
        row = self._lock(job_id)
        if row.state == JobState.CANCELLED:
            return row
        if JobState(row.state).is_final:
            raise JobTransitionError(
                expected="a job that has not ended",
                got=f"a job that is {row.state}",
                remedy=f"There is nothing left to cancel; GET /v1/jobs/{job_id} shows how it ended",
            )
        row.is_cancel_requested = True
        if row.state == JobState.QUEUED:
            end_job(self._session, row, JobState.CANCELLED, now)
        self._session.flush()
        return row

    def delete(self, job_id: str, now: datetime) -> JobRow:
        """Mark a job that has ended as deleted, and remove its events; its models stay.

        Raises:
            NotFoundError: no job has this id.
            GoneError: it was deleted before.
            JobTransitionError: it has not ended.
        """
        row = self._lock(job_id)
        if not JobState(row.state).is_final:
            raise JobTransitionError(
                expected="a job that has ended",
                got=f"a job that is {row.state}",
                remedy=f"Cancel it with POST /v1/jobs/{job_id}/cancel, and delete it once it has ended",
            )
        row.deleted_at = now
        # The last event says how the job ended, to followers who have not read it yet: without it they would wait for ever.
        newest = select(func.max(JobEventRow.id)).where(JobEventRow.job_id == job_id).scalar_subquery()
        self._session.execute(delete(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.id != newest))
        self._session.flush()
        return row

    def release_expired(self, now: datetime) -> list[str]:
        """Take jobs from workers whose lease has expired: queue them again, or end them if cancelled or out of attempts.

        Returns:
            Ids of those that are queued again and need a message.
        """
        statement = select(JobRow).where(JobRow.state.in_(HELD_STATES), JobRow.lease_expires_at <= now)
        released = []
        for row in self._session.scalars(statement.with_for_update(skip_locked=True), execution_options=FRESH):
            if end_if_hopeless(self._session, row, now):
                continue
            check_transition(JobState(row.state), JobState.QUEUED)
            row.state = JobState.QUEUED
            row.fencing_token += 1
            row.holder, row.lease_expires_at, row.enqueued_at = None, None, now
            add_state_event(self._session, row, now)
            released.append(row.id)
        return released

    def unsent(self, now: datetime, after_seconds: float) -> list[str]:
        """Return queued jobs whose last message is older than `after_seconds`, or that never had one; oldest first."""
        oldest = now - timedelta(seconds=after_seconds)
        is_old = or_(JobRow.enqueued_at.is_(None), JobRow.enqueued_at <= oldest)
        statement = select(JobRow.id).where(JobRow.state == JobState.QUEUED, is_old)
        return list(self._session.scalars(statement.order_by(JobRow.created_at)))

    def mark_sent(self, job_ids: list[str], now: datetime) -> None:
        """Note that messages for these jobs are sent now."""
        self._session.execute(
            update(JobRow).where(JobRow.id.in_(job_ids), JobRow.state == JobState.QUEUED).values(enqueued_at=now)
        )

    def count_queued(self) -> int:
        """Return how many jobs wait."""
        return self._session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state == JobState.QUEUED)) or 0

    def count_by_state(self) -> dict[JobState, int]:
        """Return how many jobs that were not deleted are in each state."""
        statement = select(JobRow.state, func.count()).where(JobRow.deleted_at.is_(None)).group_by(JobRow.state)
        counted = self._session.execute(statement).all()
        return {state: 0 for state in JobState} | {JobState(state): count for state, count in counted}

    def unchanged_since(self, states: frozenset[JobState]) -> datetime | None:
        """Return the last event's time of the job in these states whose last event is the oldest, or None without such a job.

        For queued jobs, this is since when the oldest one has waited, also if it was queued again. For running jobs, it is
        when the slowest one last made progress.
        """
        last_event = select(JobEventRow.created_at).where(JobEventRow.job_id == JobRow.id).order_by(JobEventRow.id.desc())
        moments = select(last_event.limit(1).scalar_subquery().label("moment")).where(JobRow.state.in_(states)).subquery()
        oldest: datetime | None = self._session.scalar(select(func.min(moments.c.moment)))
        return oldest

    def _lock(self, job_id: str) -> JobRow:
        row = lock_job(self._session, job_id) or self.get(job_id)
        _check_not_deleted(row)
        return row


def _check_not_deleted(row: JobRow) -> None:
    if row.deleted_at is not None:
        raise GoneError(
            expected="a job that exists",
            got=f"{row.id}, deleted at {row.deleted_at.isoformat(timespec='seconds')}",
            remedy="Choose another one with GET /v1/jobs. Its model, if it published one, is among GET /v1/models",
        )
