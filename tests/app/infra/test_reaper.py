import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.errors import QueueUnavailableError
from app.domain.jobs import JobState
from app.domain.messages import FinetuneMessage
from app.infra.benchmarks import KEPT_FOR, BenchmarkBlobs
from app.infra.checkpoints import checkpoint_key
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.leases import LeaseRepository
from app.infra.object_store import ObjectStore
from app.infra.prediction_repository import KeptPrediction, PredictionRepository
from app.infra.queue import JobQueue, connect_redis
from app.infra.reaper import SWEEPS_PER_CLEARING, Reaper, release_expired, resend_vanished
from app.infra.settings import Settings
from app.infra.tables import PredictionRow
from tests.fixtures.rows import add_model
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.services
LATER = timedelta(seconds=31)
REQUEUE_AFTER_SECONDS = 20.0


def sweep_once(session_factory: SessionFactory, queue: JobQueue, now: datetime, after_seconds: float) -> list[str]:
    released = release_expired(session_factory, queue, now)
    return released + resend_vanished(session_factory, queue, now, after_seconds)


@pytest.fixture
def queue(broker_url: str) -> JobQueue:
    return JobQueue(broker_url)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, reaper_seconds=0.01, lease_seconds=30)


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore(settings.resolved_store_url)


def test_a_fresh_job_is_left_alone(session_factory: SessionFactory, queue: JobQueue, job_id: str, now: datetime) -> None:
    assert sweep_once(session_factory, queue, now + timedelta(seconds=1), REQUEUE_AFTER_SECONDS) == []
    assert queue.depth() == 0


def test_a_job_of_a_silent_worker_is_sent_again(
    session_factory: SessionFactory, queue: JobQueue, job_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    assert sweep_once(session_factory, queue, now + LATER, REQUEUE_AFTER_SECONDS) == [job_id]
    assert queue.depth() == 1
    assert sweep_once(session_factory, queue, now + LATER, REQUEUE_AFTER_SECONDS) == []


def test_a_redis_that_restarts_empty_loses_no_job(
    session_factory: SessionFactory, queue: JobQueue, broker_url: str, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        ids = [JobRepository(session).create(new_job, now)[0].id for _ in range(3)]
    for job_id in ids:
        queue.send(FinetuneMessage(job_id))
    with connect_redis(broker_url) as client:
        client.flushall()
    assert sorted(
        sweep_once(session_factory, queue, now + timedelta(seconds=REQUEUE_AFTER_SECONDS), REQUEUE_AFTER_SECONDS)
    ) == sorted(ids)
    assert queue.depth() == 3


def test_a_long_queue_is_not_sent_again(session_factory: SessionFactory, queue: JobQueue, job_id: str, now: datetime) -> None:
    queue.send(FinetuneMessage(job_id))
    assert sweep_once(session_factory, queue, now + timedelta(hours=1), REQUEUE_AFTER_SECONDS) == []
    assert queue.depth() == 1


@pytest.mark.slow
def test_a_broker_out_of_reach_still_lets_expired_jobs_go(
    session_factory: SessionFactory, job_id: str, now: datetime, tmp_path: Path, broker_url: str
) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    with pytest.raises(QueueUnavailableError):
        sweep_once(session_factory, JobQueue(f"redis+socket://{tmp_path}/none.sock"), now + LATER, REQUEUE_AFTER_SECONDS)
    with session_factory() as session:
        assert JobRepository(session).get(job_id).state == JobState.QUEUED
    moment = now + LATER + timedelta(seconds=REQUEUE_AFTER_SECONDS)
    assert sweep_once(session_factory, JobQueue(broker_url), moment, REQUEUE_AFTER_SECONDS) == [job_id]


def test_the_thread_sweeps_until_it_is_stopped(
    settings: Settings, session_factory: SessionFactory, queue: JobQueue, store: ObjectStore, job_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    hasty = settings.model_copy(update={"lease_seconds": 0.1})
    reaper = Reaper(hasty, session_factory, queue, store, clock=lambda: now + LATER)
    reaper.start()
    wait_until(lambda: queue.depth() > 0)
    reaper.stop()
    assert queue.depth() == 1
    assert not reaper.is_alive()
    assert (reaper.num_expired, reaper.num_resent) == (1, 0)


def test_the_thread_outlives_an_outage(
    settings: Settings, session_factory: SessionFactory, store: ObjectStore, job_id: str, now: datetime, tmp_path: Path
) -> None:
    reaper = Reaper(settings, session_factory, JobQueue(f"redis+socket://{tmp_path}/none.sock"), store, clock=lambda: now)
    reaper.start()
    time.sleep(0.2)
    assert reaper.is_alive()
    reaper.stop()


def test_after_an_outage_of_the_database_holders_get_the_time_to_renew(
    settings: Settings, session_factory: SessionFactory, queue: JobQueue, store: ObjectStore, job_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 30, now)
    reaper = Reaper(settings, session_factory, queue, store, clock=lambda: now + LATER)

    def state() -> str:
        with session_factory() as session:
            return JobRepository(session).get(job_id).state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobRepository, "release_expired", lambda *_: raise_outage())
        with pytest.raises(OperationalError):
            reaper.sweep(100.0)
    reaper.sweep(129.0)
    assert state() == JobState.RUNNING
    reaper.sweep(130.0)
    assert state() == JobState.QUEUED


def raise_outage() -> None:
    raise OperationalError("SELECT", {}, ConnectionResetError())


def test_the_store_is_cleared_now_and_then(
    settings: Settings, session_factory: SessionFactory, queue: JobQueue, store: ObjectStore, job_id: str, now: datetime
) -> None:
    reaper = Reaper(settings, session_factory, queue, store, clock=lambda: now)
    store.put(checkpoint_key(job_id), b"1")
    reaper.sweep(100.0)
    with session_factory.begin() as session:
        JobRepository(session).request_cancel(job_id, now)
    pause = SWEEPS_PER_CLEARING * settings.reaper_seconds
    reaper.sweep(100.0 + pause / 2)
    assert store.exists(checkpoint_key(job_id))
    reaper.sweep(100.0 + pause)
    assert not store.exists(checkpoint_key(job_id))


def test_images_of_a_benchmark_whose_command_never_came_back_do_not_stay(
    settings: Settings, session_factory: SessionFactory, queue: JobQueue, store: ObjectStore, now: datetime
) -> None:
    BenchmarkBlobs(store, "b1").note_wanted(now)
    store.put("benchmarks/b1/bundle.zip", b"images")
    Reaper(settings, session_factory, queue, store, clock=lambda: now + KEPT_FOR).sweep(100.0)
    assert store.exists("benchmarks/b1/bundle.zip")
    Reaper(settings, session_factory, queue, store, clock=lambda: now + KEPT_FOR + LATER).sweep(100.0)
    assert store.keys("benchmarks") == []


def test_predictions_are_purged_even_while_the_broker_is_away(
    settings: Settings, session_factory: SessionFactory, store: ObjectStore, job_id: str, now: datetime, tmp_path: Path
) -> None:
    def num_kept() -> int:
        with session_factory() as session:
            return len(list(session.scalars(select(PredictionRow.id))))

    with session_factory.begin() as session:
        add_model(session, job_id)
        for age in (1, 40):
            PredictionRepository(session).add(
                [KeptPrediction("0" * 64, "cat", 0.5)], "mdl_1", now - timedelta(days=age), request_id=None
            )
    keeping = settings.model_copy(update={"prediction_retention_days": 30, "reaper_seconds": 0.01})
    away = JobQueue(f"redis+socket://{tmp_path}/none.sock")
    reaper = Reaper(keeping, session_factory, away, store, clock=lambda: now)
    reaper.start()
    wait_until(lambda: num_kept() <= 1)
    reaper.stop()
    assert num_kept() == 1
