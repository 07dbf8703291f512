"""Batches of lost workers, lost messages, and blobs that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.domain.errors import JobCrashedError
from app.domain.messages import BatchMessage
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.batch_leases import BatchLeases
from app.infra.batch_repository import BatchRepository
from app.infra.clearing import clear_batches
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue
from app.infra.recovery import BATCHES, release_expired_work, resend_vanished_work
from tests.fixtures.rows import add_batch, add_model

pytestmark = pytest.mark.services
LATER = timedelta(seconds=31)


@pytest.fixture
def queue(broker_url: str) -> Iterator[JobQueue]:
    opened = JobQueue(broker_url)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/blobs")


@pytest.fixture
def batch_id(session_factory: SessionFactory, job_id: str) -> str:
    with session_factory.begin() as session:
        return add_batch(session, add_model(session, job_id), num_chunks=1)


def test_a_batch_of_a_silent_worker_is_sent_again(
    session_factory: SessionFactory, queue: JobQueue, batch_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        BatchLeases(session).claim(batch_id, "worker", 30, now)
    assert release_expired_work(BATCHES, session_factory, queue, now + timedelta(seconds=29)) == []
    assert release_expired_work(BATCHES, session_factory, queue, now + LATER) == [batch_id]
    assert queue.depth(BatchMessage.queue_name) == 1


def test_a_lost_message_is_sent_again_and_a_waiting_one_is_not(
    session_factory: SessionFactory, queue: JobQueue, batch_id: str, now: datetime
) -> None:
    assert resend_vanished_work(BATCHES, session_factory, queue, now, 20) == []
    assert resend_vanished_work(BATCHES, session_factory, queue, now + LATER, 20) == [batch_id]
    assert resend_vanished_work(BATCHES, session_factory, queue, now + 2 * LATER, 20) == []
    assert queue.depth(BatchMessage.queue_name) == 1


@pytest.mark.parametrize(("ends", "left"), [("succeed", ["results/0"]), ("fail", []), ("cancel", []), ("delete", [])])
def test_only_the_result_of_a_batch_that_succeeded_stays(
    session_factory: SessionFactory, store: ObjectStore, batch_id: str, now: datetime, ends: str, left: list[str]
) -> None:
    blobs = BatchBlobs(store, "batches/bat_1")
    blobs.put_images(0, [SentImage("a.png", b"image")])
    blobs.put_results(0, [{"file": "a.png"}])
    assert clear_batches(session_factory, store, now) == []
    with session_factory.begin() as session:
        leases, batches = BatchLeases(session), BatchRepository(session)
        lease = leases.claim(batch_id, "worker", 30, now)
        assert lease is not None
        if ends == "succeed":
            leases.finish_chunk(lease, 1, 0, now)
        elif ends == "cancel":
            batches.cancel(batch_id, now)
        elif ends == "delete":
            batches.delete(batch_id, now)
        else:
            leases.fail(lease, JobCrashedError(expected="no crash", got="one", remedy="Report it"), now)
    assert clear_batches(session_factory, store, now) == [batch_id]
    assert store.keys("batches") == [f"batches/bat_1/{name}" for name in left]
    assert clear_batches(session_factory, store, now) == []


def test_what_is_deleted_after_it_succeeded_is_cleared_once_more(
    session_factory: SessionFactory, store: ObjectStore, batch_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        lease = BatchLeases(session).claim(batch_id, "worker", 30, now)
        assert lease is not None
        BatchLeases(session).finish_chunk(lease, 1, 0, now)
    BatchBlobs(store, "batches/bat_1").put_results(0, [{"file": "a.png"}])
    assert clear_batches(session_factory, store, now) == [batch_id]
    with session_factory.begin() as session:
        BatchRepository(session).delete(batch_id, now)
        BatchLeases(session).note_cleared(batch_id, was_deleted=False)  # of a worker that was slower
    assert clear_batches(session_factory, store, now) == [batch_id]
    assert store.keys("batches") == []
