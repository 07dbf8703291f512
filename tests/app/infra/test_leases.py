from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select

from app.domain.errors import JobCrashedError, JobTransitionError, StaleLeaseError
from app.domain.jobs import MAX_ATTEMPTS, JobState
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.tables import JobRow, ModelRow
from vtt_core.contract.progress import StepReport

REPORT = StepReport(3, 10, 1.5, -0.2, 0.4, True, None)
CRASH = JobCrashedError(expected="a", got="b", remedy="c")


def claim(session_factory: SessionFactory, job_id: str, holder: str, now: datetime) -> Lease | None:
    with session_factory.begin() as session:
        return LeaseRepository(session).claim(job_id, holder, 30, now)


def read(session_factory: SessionFactory, job_id: str) -> JobRow:
    with session_factory() as session:
        return JobRepository(session).get(job_id)


def a_model(job_id: str, now: datetime) -> ModelRow:
    return ModelRow(
        id="mdl_1",
        job_id=job_id,
        backbone_id="mini",
        backbone_sha256="0" * 64,
        labels=["a", "b"],
        recipe={},
        metrics={},
        adapter_key="models/mdl_1",
        adapter_bytes=1,
        created_at=now,
    )


@pytest.fixture
def lease(session_factory: SessionFactory, job_id: str, now: datetime) -> Lease:
    held = claim(session_factory, job_id, "worker", now)
    assert held is not None
    return held


WRITES: dict[str, Callable[[LeaseRepository, Lease, datetime], object]] = {
    "renew": lambda leases, lease, now: leases.renew(lease, 30, now),
    "report_progress": lambda leases, lease, now: leases.report_progress(lease, REPORT, None, now),
    "begin_verifying": lambda leases, lease, now: leases.begin_verifying(lease, now),
    "succeed": lambda leases, lease, now: leases.succeed(lease, a_model(lease.job_id, now), now),
    "fail": lambda leases, lease, now: leases.fail(lease, CRASH, now),
    "cancel_by_worker": lambda leases, lease, now: leases.cancel_by_worker(lease, now),
    "requeue": lambda leases, lease, now: leases.requeue(lease, now),
    "requeue_with_reason": lambda leases, lease, now: leases.requeue(lease, now, reason=CRASH),
}


def test_a_claimed_job_runs_and_names_its_holder(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    row = read(session_factory, lease.job_id)
    assert (row.state, row.holder, row.attempt, row.fencing_token) == (JobState.RUNNING, "worker", 1, lease.fencing_token)
    assert (row.started_at, row.lease_expires_at) == (now, now + timedelta(seconds=30))


def test_a_held_job_cannot_be_claimed_until_its_lease_expires(
    session_factory: SessionFactory, lease: Lease, now: datetime
) -> None:
    assert claim(session_factory, lease.job_id, "other", now + timedelta(seconds=29)) is None
    taken = claim(session_factory, lease.job_id, "other", now + timedelta(seconds=30))
    assert taken is not None
    assert (taken.attempt, taken.fencing_token > lease.fencing_token) == (2, True)


def test_of_workers_that_claim_at_once_one_gets_the_job(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    start, leases = Barrier(4), []

    def try_it(holder: str) -> None:
        start.wait()
        leases.append(claim(session_factory, job_id, holder, now))

    threads = [Thread(target=try_it, args=(f"worker-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in leases) == 1
    assert read(session_factory, job_id).attempt == 1


def test_a_job_that_does_not_exist_cannot_be_claimed(session_factory: SessionFactory, now: datetime) -> None:
    assert claim(session_factory, "job_none", "worker", now) is None


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
def test_a_stale_holder_cannot_write(session_factory: SessionFactory, lease: Lease, now: datetime, write: str) -> None:
    assert claim(session_factory, lease.job_id, "other", now + timedelta(seconds=31)) is not None
    before = vars(read(session_factory, lease.job_id))
    with pytest.raises(StaleLeaseError), session_factory.begin() as session:
        WRITES[write](LeaseRepository(session), lease, now)
    after = vars(read(session_factory, lease.job_id))
    assert {key: value for key, value in after.items() if key[0] != "_"} == {
        key: value for key, value in before.items() if key[0] != "_"
    }
    with session_factory() as session:
        assert session.scalar(select(func.count()).select_from(ModelRow)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
def test_the_same_holder_cannot_write_with_an_old_token(
    session_factory: SessionFactory, lease: Lease, now: datetime, write: str
) -> None:
    assert claim(session_factory, lease.job_id, lease.holder, now + timedelta(seconds=31)) is not None
    with pytest.raises(StaleLeaseError), session_factory.begin() as session:
        WRITES[write](LeaseRepository(session), lease, now)


@pytest.mark.parametrize("write", WRITES)
def test_nobody_can_write_a_job_that_has_ended(
    session_factory: SessionFactory, lease: Lease, now: datetime, write: str
) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).fail(lease, CRASH, now)
    with pytest.raises(StaleLeaseError), session_factory.begin() as session:
        WRITES[write](LeaseRepository(session), lease, now)


def test_success_without_verifying_is_refused(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    with pytest.raises(JobTransitionError), session_factory.begin() as session:
        LeaseRepository(session).succeed(lease, a_model(lease.job_id, now), now)


def test_a_renewed_lease_lasts_longer_and_reports_a_cancel(
    session_factory: SessionFactory, lease: Lease, now: datetime
) -> None:
    later = now + timedelta(seconds=20)
    with session_factory.begin() as session:
        assert not LeaseRepository(session).renew(lease, 30, later)
        JobRepository(session).request_cancel(lease.job_id, later)
        assert LeaseRepository(session).renew(lease, 30, later)
    assert read(session_factory, lease.job_id).lease_expires_at == later + timedelta(seconds=30)


def test_progress_is_written_with_an_event(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    with session_factory.begin() as session:
        assert not LeaseRepository(session).report_progress(lease, REPORT, 12.5, now)
    row = read(session_factory, lease.job_id)
    with session_factory() as session:
        event = JobRepository(session).events_after(lease.job_id, 0)[-1]
    assert row.step == 3
    assert row.progress == event.payload == {**REPORT.to_json(), "seconds_left": 12.5}
    assert event.kind == "progress"


def test_success_adds_the_model_and_ends_the_job_together(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).begin_verifying(lease, now)
    with session_factory.begin() as session:
        LeaseRepository(session).succeed(lease, a_model(lease.job_id, now), now)
    row = read(session_factory, lease.job_id)
    with session_factory() as session:
        event = JobRepository(session).events_after(lease.job_id, 0)[-1]
        assert session.scalars(select(ModelRow.job_id)).all() == [lease.job_id]
    assert (row.state, row.holder, row.finished_at) == (JobState.SUCCEEDED, None, now)
    assert event.payload == {"state": "succeeded", "attempt": 1, "model_id": "mdl_1"}


def test_a_failure_keeps_its_error_for_the_user(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).fail(lease, CRASH, now)
    row = read(session_factory, lease.job_id)
    assert row.state == JobState.FAILED
    assert row.error == {"code": "job.crashed", "title": "Unexpected failure", "expected": "a", "got": "b", "remedy": "c"}


def test_a_worker_that_is_asked_to_stop_spends_no_attempt(session_factory: SessionFactory, lease: Lease, now: datetime) -> None:
    with session_factory.begin() as session:
        assert LeaseRepository(session).requeue(lease, now) == JobState.QUEUED
    again = claim(session_factory, lease.job_id, "other", now)
    assert again is not None
    assert again.attempt == 1


def test_a_failed_last_attempt_fails_the_job(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    states = []
    for _ in range(MAX_ATTEMPTS):
        lease = claim(session_factory, job_id, "worker", now)
        assert lease is not None
        with session_factory.begin() as session:
            states.append(LeaseRepository(session).requeue(lease, now, reason=CRASH))
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert read(session_factory, job_id).error is not None
    assert claim(session_factory, job_id, "worker", now) is None


def test_a_job_requeued_after_a_cancel_ends_at_the_next_claim(
    session_factory: SessionFactory, lease: Lease, now: datetime
) -> None:
    with session_factory.begin() as session:
        JobRepository(session).request_cancel(lease.job_id, now)
        LeaseRepository(session).requeue(lease, now)
    assert claim(session_factory, lease.job_id, "other", now) is None
    assert read(session_factory, lease.job_id).state == JobState.CANCELLED


def test_a_holder_that_lost_the_answer_to_its_claim_goes_on_in_the_same_attempt(
    session_factory: SessionFactory, lease: Lease, now: datetime
) -> None:
    again = claim(session_factory, lease.job_id, lease.holder, now)
    assert again is not None
    assert (again.attempt, again.fencing_token) == (lease.attempt, lease.fencing_token + 1)
    with session_factory.begin() as session, pytest.raises(StaleLeaseError):
        LeaseRepository(session).renew(lease, 30, now)
