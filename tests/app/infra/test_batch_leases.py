"""Who may work on a batch, and how its chunks are counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from app.domain.batches import MAX_CHUNK_ATTEMPTS, BatchState
from app.domain.errors import JobCrashedError, StaleLeaseError
from app.infra.batch_leases import BatchLease, BatchLeases
from app.infra.batch_repository import BatchRepository
from app.infra.database import SessionFactory
from app.infra.tables import BatchRow
from tests.fixtures.rows import add_batch, add_model

CRASH = JobCrashedError(expected="no crash", got="one", remedy="Report it")


@pytest.fixture
def batch_id(session_factory: SessionFactory, job_id: str) -> str:
    with session_factory.begin() as session:
        return add_batch(session, add_model(session, job_id))


@pytest.fixture
def claim(session_factory: SessionFactory, batch_id: str, now: datetime) -> Callable[..., BatchLease | None]:
    def claim_batch(holder: str = "worker", after: float = 0.0) -> BatchLease | None:
        with session_factory.begin() as session:
            return BatchLeases(session).claim(batch_id, holder, 30, now + timedelta(seconds=after))

    return claim_batch


def held(lease: BatchLease | None) -> BatchLease:
    assert lease is not None
    return lease


def read(session_factory: SessionFactory, batch_id: str) -> BatchRow:
    with session_factory() as session:
        return session.get_one(BatchRow, batch_id)


def test_a_batch_is_claimed_for_one_chunk_after_the_other(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None], now: datetime
) -> None:
    for chunk, holder in enumerate(("first", "second")):
        lease = held(claim(holder))
        assert (lease.chunk, lease.attempt) == (chunk, 1)
        assert claim("another") is None
        with session_factory.begin() as session:
            BatchLeases(session).finish_chunk(lease, 3, chunk, now)
    row = read(session_factory, batch_id)
    assert (row.state, row.num_done, row.num_refused, row.finished_at, row.needs_clearing) == ("succeeded", 6, 1, now, True)
    assert claim() is None


def test_a_chunk_counts_once(session_factory: SessionFactory, claim: Callable[..., BatchLease | None], now: datetime) -> None:
    lease = held(claim())
    with session_factory.begin() as session:
        BatchLeases(session).finish_chunk(lease, 3, 0, now)
    with pytest.raises(StaleLeaseError), session_factory.begin() as session:
        BatchLeases(session).finish_chunk(lease, 3, 0, now)


def test_a_lost_worker_can_write_nothing(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None], now: datetime
) -> None:
    lost = held(claim("lost"))
    assert held(claim("next", after=31)).attempt == 2
    for write in (
        lambda leases: leases.finish_chunk(lost, 3, 0, now),
        lambda leases: leases.renew(lost, 30, now),
        lambda leases: leases.fail(lost, CRASH, now),
        lambda leases: leases.give_back(lost, now),
    ):
        with pytest.raises(StaleLeaseError), session_factory.begin() as session:
            write(BatchLeases(session))
    assert read(session_factory, batch_id).num_done == 0


def test_a_renewed_lease_lasts(session_factory: SessionFactory, claim: Callable[..., BatchLease | None], now: datetime) -> None:
    lease = held(claim())
    with session_factory.begin() as session:
        lease.renew(session, 60, now)
    assert claim("another", after=31) is None


def test_a_batch_whose_chunk_loses_every_worker_fails(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None]
) -> None:
    for attempt in range(MAX_CHUNK_ATTEMPTS):
        held(claim(f"worker-{attempt}", after=31.0 * attempt))
    assert claim("last", after=1000) is None
    row = read(session_factory, batch_id)
    assert (row.state, row.error and row.error["code"]) == ("failed", "job.worker_lost")


def test_a_crash_counts_and_a_stop_does_not(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None], now: datetime
) -> None:
    for reason, attempts in ((None, 0), (CRASH, 1), (CRASH, 2), (None, 2)):
        with session_factory.begin() as session:
            assert BatchLeases(session).give_back(held(claim()), now, reason=reason) == BatchState.RUNNING
        assert read(session_factory, batch_id).attempt == attempts
    with session_factory.begin() as session:
        assert BatchLeases(session).give_back(held(claim()), now, reason=CRASH) == BatchState.FAILED
    assert read(session_factory, batch_id).error == {
        "code": "job.crashed",
        "title": CRASH.title,
        "expected": "no crash",
        "got": "one",
        "remedy": "Report it",
    }


def test_a_batch_that_waits_for_its_quota_is_left_alone_until_then(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None], now: datetime
) -> None:
    with session_factory.begin() as session:
        BatchLeases(session).give_back(held(claim()), now, wait_seconds=20)
    assert claim(after=19) is None
    with session_factory.begin() as session:
        assert BatchLeases(session).waiting() == 0
        assert BatchLeases(session).release_expired(now + timedelta(seconds=19)) == []
        assert BatchLeases(session).release_expired(now + timedelta(seconds=20)) == [batch_id]
        assert BatchLeases(session).waiting() == 1
    assert held(claim(after=20)).attempt == 1


def test_cancelling_takes_the_batch_from_its_worker(
    session_factory: SessionFactory, batch_id: str, claim: Callable[..., BatchLease | None], now: datetime
) -> None:
    lease = held(claim())
    with session_factory.begin() as session:
        BatchRepository(session).cancel(batch_id, now)
    with pytest.raises(StaleLeaseError), session_factory.begin() as session:
        BatchLeases(session).finish_chunk(lease, 3, 0, now)
    assert read(session_factory, batch_id).state == "cancelled"
