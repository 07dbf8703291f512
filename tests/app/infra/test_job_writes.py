from datetime import datetime, timedelta

import pytest

from app.domain.errors import JobTransitionError
from app.domain.jobs import JobState
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository
from app.infra.job_writes import add_event, end_if_hopeless, end_job, lock_job


def test_a_job_is_not_hopeless_before_its_attempts_are_used_up(
    session_factory: SessionFactory, job_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        row = lock_job(session, job_id)
        assert row is not None
        assert not end_if_hopeless(session, row, now)
        row.attempt = 3
        assert end_if_hopeless(session, row, now)
        assert row.error is not None
        assert "step 0 of 10" in row.error["got"]


def test_an_ended_job_cannot_end_again(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        row = lock_job(session, job_id)
        assert row is not None
        end_job(session, row, JobState.CANCELLED, now)
        with pytest.raises(JobTransitionError):
            end_job(session, row, JobState.FAILED, now)


def test_event_ids_grow(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    for i in range(3):
        with session_factory.begin() as session:
            lock_job(session, job_id)
            add_event(session, job_id, "progress", {"step": i}, now + timedelta(seconds=i))
    with session_factory() as session:
        events = JobRepository(session).events_after(job_id, 0)
    assert [event.payload.get("step") for event in events] == [None, 0, 1, 2]
    assert [event.id for event in events] == sorted({event.id for event in events})
