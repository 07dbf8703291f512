from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest

from app.domain.errors import IdempotencyConflictError, JobTransitionError, NotFoundError
from app.domain.jobs import MAX_ATTEMPTS, JobState
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.leases import LeaseRepository

LATER = timedelta(seconds=31)


def test_a_new_job_is_queued_with_an_event(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory() as session:
        row = JobRepository(session).get(job_id)
        events = JobRepository(session).events_after(job_id, 0)
    assert (row.state, row.attempt, row.num_steps, row.created_at) == (JobState.QUEUED, 0, 10, now)
    assert [(event.kind, event.payload) for event in events] == [("state", {"state": "queued", "attempt": 0})]


def test_an_unknown_job_is_not_found(session_factory: SessionFactory, now: datetime) -> None:
    with session_factory.begin() as session:
        with pytest.raises(NotFoundError):
            JobRepository(session).get("job_none")
        with pytest.raises(NotFoundError):
            JobRepository(session).request_cancel("job_none", now)


def test_the_same_idempotency_key_gives_the_same_job(session_factory: SessionFactory, new_job: NewJob, now: datetime) -> None:
    keyed = replace(new_job, idempotency_key="key")
    made = []
    for _ in range(2):
        with session_factory.begin() as session:
            row, is_new = JobRepository(session).create(keyed, now)
            made.append((row.id, is_new))
    assert made[0][1]
    assert made[1] == (made[0][0], False)


def test_an_idempotency_key_of_a_different_request_is_refused(
    session_factory: SessionFactory, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        JobRepository(session).create(replace(new_job, idempotency_key="key"), now)
    other = replace(new_job, idempotency_key="key", request_sha256="1" * 64)
    with session_factory.begin() as session, pytest.raises(IdempotencyConflictError, match="key"):
        JobRepository(session).create(other, now)


def test_the_same_request_sent_twice_at_once_makes_one_job(
    session_factory: SessionFactory, new_job: NewJob, now: datetime
) -> None:
    keyed, start, made = replace(new_job, idempotency_key="key"), Barrier(4), []

    def send() -> None:
        start.wait()
        with session_factory.begin() as session:
            row, is_new = JobRepository(session).create(keyed, now)
            made.append((row.id, is_new))

    threads = [Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, False, False, True]


def test_a_waiting_job_is_cancelled_at_once_and_twice_is_the_same(
    session_factory: SessionFactory, job_id: str, now: datetime
) -> None:
    for _ in range(2):
        with session_factory.begin() as session:
            row = JobRepository(session).request_cancel(job_id, now)
        assert (row.state, row.finished_at) == (JobState.CANCELLED, now)
    with session_factory.begin() as session:
        assert LeaseRepository(session).claim(job_id, "worker", 30, now) is None


def test_a_running_job_is_only_flagged(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    with session_factory.begin() as session:
        row = JobRepository(session).request_cancel(job_id, now)
    assert (row.state, row.is_cancel_requested) == (JobState.RUNNING, True)


def test_an_ended_job_cannot_be_cancelled(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        JobRepository(session).get(job_id).state = JobState.FAILED
    with session_factory.begin() as session, pytest.raises(JobTransitionError):
        JobRepository(session).request_cancel(job_id, now)


def test_a_lease_that_lasts_is_not_released(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    with session_factory.begin() as session:
        assert JobRepository(session).release_expired(now + timedelta(seconds=29)) == []


def test_an_expired_lease_queues_the_job_again(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    with session_factory.begin() as session:
        assert JobRepository(session).release_expired(now + LATER) == [job_id]
    with session_factory() as session:
        row = JobRepository(session).get(job_id)
    assert (row.state, row.attempt, row.holder, row.enqueued_at) == (JobState.QUEUED, 1, None, now + LATER)


def test_an_expired_lease_of_a_cancelled_job_ends_it(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
        JobRepository(session).request_cancel(job_id, now)
    with session_factory.begin() as session:
        assert JobRepository(session).release_expired(now + LATER) == []
    with session_factory() as session:
        assert JobRepository(session).get(job_id).state == JobState.CANCELLED


def test_a_job_that_kills_its_workers_fails_after_three_attempts(
    session_factory: SessionFactory, job_id: str, now: datetime
) -> None:
    for attempt in range(MAX_ATTEMPTS):
        with session_factory.begin() as session:
            assert LeaseRepository(session).claim(job_id, f"worker-{attempt}", 30, now) is not None
        now += LATER
        with session_factory.begin() as session:
            released = JobRepository(session).release_expired(now)
        assert released == ([job_id] if attempt < MAX_ATTEMPTS - 1 else [])
    with session_factory() as session:
        row = JobRepository(session).get(job_id)
        last = JobRepository(session).events_after(job_id, 0)[-1]
    assert (row.state, row.attempt, row.finished_at) == (JobState.FAILED, 3, now)
    assert row.error is not None
    assert row.error["code"] == "job.worker_lost"
    assert last.payload["error"] == row.error


def test_jobs_without_a_recent_message_are_found_oldest_first(
    session_factory: SessionFactory, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        jobs = JobRepository(session)
        ids = [jobs.create(new_job, now + timedelta(seconds=10 * i))[0].id for i in range(3)]
    with session_factory.begin() as session:
        jobs = JobRepository(session)
        moment = now + timedelta(seconds=30)
        assert jobs.unsent(moment, 20) == ids[:2]
        jobs.mark_sent(ids[:1], moment)
        assert jobs.unsent(moment, 20) == ids[1:2]


def test_events_after_an_id_are_the_later_ones(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    with session_factory() as session:
        first, second = JobRepository(session).events_after(job_id, 0)
        assert [event.id for event in JobRepository(session).events_after(job_id, first.id)] == [second.id]
        assert JobRepository(session).events_after(job_id, 0, limit=1) == [first]


def test_one_statement_gives_the_events_of_many_jobs_each_after_its_own_id(
    session_factory: SessionFactory, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        first, second, third = (JobRepository(session).create(new_job, now)[0].id for _ in range(3))
        for job_id in (first, second, third):
            LeaseRepository(session).claim(job_id, "worker", 30, now)
    with session_factory() as session:
        jobs = JobRepository(session)
        queued, running = jobs.events_after(second, 0)
        wanted = {first: 0, second: queued.id, "job_none": 0}
        events = jobs.events_after_each(wanted, 100)
        assert [event.id for event in events] == sorted(event.id for event in (*jobs.events_after(first, 0), running))
        assert jobs.events_after_each(wanted, 2) == events[:2]
        assert jobs.events_after_each({job_id: 2**31 - 1 for job_id in (first, second)}, 100) == []
        assert len(jobs.events_after_each({f"job_{number}": 0 for number in range(1000)} | {first: 0}, 100)) == 2
        assert jobs.newest_event(second) == running
        assert jobs.newest_event("job_none") is None


def test_counts_name_every_state(session_factory: SessionFactory, job_id: str) -> None:
    with session_factory() as session:
        counts = JobRepository(session).count_by_state()
    assert counts == {state: int(state == JobState.QUEUED) for state in JobState}


def test_a_support_set_is_needed_until_its_job_ends(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        assert JobRepository(session).has_unfinished_for("set_1")
        JobRepository(session).request_cancel(job_id, now)
        assert not JobRepository(session).has_unfinished_for("set_1")
