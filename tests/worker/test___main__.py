"""A real worker process over a real Redis: killed, asked to stop, and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from app.domain.jobs import JobState
from app.domain.messages import BatchMessage, FinetuneMessage
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.database import SessionFactory, make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue
from app.infra.reaper import Reaper
from app.infra.redis_server import PrivateRedis
from app.infra.settings import Settings
from app.infra.tables import BatchRow, JobRow, ModelRow
from app.infra.workers import WorkerRegistry
from tests.fixtures.rows import add_batch
from tests.fixtures.services import PostgresServer
from tests.fixtures.waiting import wait_until
from tests.worker.conftest import add_job, add_support_set, make_images

pytestmark = [pytest.mark.services, pytest.mark.slow]
ITERATIONS = 100
"""So many that a job is still running when a test that saw a step of it acts."""
LEASE_SECONDS = 10


class Service:
    """Database, store, Redis and reaper, with as many worker processes as the test starts."""

    def __init__(self, data_dir: Path, redis: PrivateRedis, database_url: str = "") -> None:
        self.redis = redis
        self.settings = Settings(
            data_dir=data_dir,
            database_url=database_url,
            lease_seconds=LEASE_SECONDS,
            reaper_seconds=0.2,
            requeue_after_seconds=2,
        )
        migrate(self.settings.resolved_database_url)
        self.engine = engine = make_engine(self.settings.resolved_database_url)
        self.session_factory: SessionFactory = make_session_factory(engine)
        self._readers = make_reader_factory(engine)
        self.store = ObjectStore(self.settings.resolved_store_url)
        self.queue = JobQueue(self.settings.resolved_broker_url)
        self.registry = WorkerRegistry(self.settings.resolved_broker_url)
        self.reaper = Reaper(self.settings, self.session_factory, self.queue, self.store)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self) -> subprocess.Popen[bytes]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VTT_")},
            "VTT_DATA_DIR": str(self.settings.data_dir),
            "VTT_DATABASE_URL": self.settings.database_url,
            "VTT_DEVICE": "cpu",
            "VTT_LEASE_SECONDS": str(LEASE_SECONDS),
            "VTT_HEARTBEAT_SECONDS": "0.5",
            "VTT_CHECKPOINT_STEPS": "3",
            # The threads of two workers on one machine would wait for each other.
            "OMP_NUM_THREADS": "1",
        }
        worker = subprocess.Popen([sys.executable, "-m", "worker"], env=environment)
        self.workers.append(worker)
        return worker

    def send_job(self) -> str:
        job_id = add_job(self.session_factory, iterations=ITERATIONS)
        self.queue.send(FinetuneMessage(job_id))
        return job_id

    def read(self, job_id: str) -> JobRow:
        with self._readers() as session:
            return session.scalars(select(JobRow).where(JobRow.id == job_id)).one()

    def wait_for_end(self, job_id: str) -> JobRow:
        wait_until(lambda: JobState(self.read(job_id).state).is_final)
        return self.read(job_id)

    def wait_for_checkpoint(self, job_id: str) -> None:
        wait_until(lambda: self.store.exists(f"jobs/{job_id}/checkpoint.safetensors"))

    def adapter_files(self, job_id: str) -> dict[str, bytes]:
        with self._readers() as session:
            model = session.scalars(select(ModelRow).where(ModelRow.job_id == job_id, ~ModelRow.is_interim)).one()
        keys = [f"{model.adapter_key}/{name}" for name in ("manifest.json", "adapter.safetensors")]
        return {key.rsplit("/", 1)[1]: content for key, content in self.store.get_many(keys).items()}


@contextmanager
def running_service(folder: Path, database_url: str = "") -> Iterator[Service]:
    with PrivateRedis(folder) as redis:
        running = Service(folder, redis, database_url)
        add_support_set(running.session_factory, running.store)
        running.reaper.start()
        try:
            yield running
        finally:
            for worker in running.workers:
                with suppress(ProcessLookupError):
                    worker.kill()
                worker.wait()
            running.reaper.stop()
            running.queue.close()
            running.engine.dispose()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path) as running:
        yield running


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    server = PostgresServer(options=())
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("where", ["just after a checkpoint", "between two checkpoints"])
def test_a_killed_worker_s_job_ends_with_the_bytes_of_an_undisturbed_one(service: Service, where: str) -> None:
    first = service.start_worker()
    undisturbed, disturbed = service.send_job(), service.send_job()
    assert service.wait_for_end(undisturbed).state == JobState.SUCCEEDED
    service.wait_for_checkpoint(disturbed)
    if where == "between two checkpoints":
        wait_until(lambda: service.read(disturbed).step >= 5)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    at_death = service.read(disturbed)
    assert at_death.state == JobState.RUNNING
    service.start_worker()
    row = service.wait_for_end(disturbed)
    assert (row.state, row.attempt, row.error) == (JobState.SUCCEEDED, 2, None)
    assert row.fencing_token > at_death.fencing_token
    assert service.adapter_files(disturbed) == service.adapter_files(undisturbed)
    wait_until(lambda: service.store.folders("jobs") == [])


def test_a_worker_outlives_a_redis_that_is_killed_and_comes_back_empty(service: Service) -> None:
    worker = service.start_worker()
    running, waiting = service.send_job(), service.send_job()
    wait_until(lambda: service.read(running).step >= 2)
    restart_empty(service.redis)
    assert service.wait_for_end(running).state == JobState.SUCCEEDED
    assert service.wait_for_end(waiting).state == JobState.SUCCEEDED
    wait_until(lambda: [live.job_id for live in service.registry.live_workers()] == [None])
    restart_empty(service.redis)  # this time it waits for messages
    wait_until(lambda: bool(service.registry.live_workers()))
    last = service.wait_for_end(service.send_job())
    assert (last.state, last.attempt) == (JobState.SUCCEEDED, 1)
    assert worker.poll() is None
    assert service.adapter_files(running) == service.adapter_files(waiting) == service.adapter_files(last.id)


def test_a_worker_whose_acknowledgement_got_lost_takes_the_next_message(service: Service) -> None:
    worker = service.start_worker()
    first = service.send_job()
    wait_until(lambda: service.read(first).step >= 2)
    assert service.redis.pid is not None
    os.kill(service.redis.pid, signal.SIGKILL)
    wait_until(lambda: service.redis.pid is None)
    assert service.wait_for_end(first).state == JobState.SUCCEEDED
    time.sleep(1.0)  # for the acknowledgement, which nobody takes
    assert service.redis.ensure_running()
    assert service.wait_for_end(service.send_job()).state == JobState.SUCCEEDED
    assert worker.poll() is None


def test_a_batch_outlives_a_killed_worker_and_goes_on_after_the_last_finished_chunk(service: Service) -> None:
    model_job = service.send_job()
    first = service.start_worker()
    service.wait_for_end(model_job)
    with service._readers() as session:
        model_id = session.scalars(select(ModelRow.id).where(ModelRow.job_id == model_job, ~ModelRow.is_interim)).one()
    num_chunks, images = 40, [SentImage(f"{place}.png", encoded) for place, (_, encoded) in enumerate(make_images())] * 16
    blobs = BatchBlobs(service.store, "batches/bat_1")
    for chunk in range(num_chunks):
        blobs.put_images(chunk, images)
    with service.session_factory.begin() as session:
        batch_id = add_batch(session, model_id, num_chunks=num_chunks, images_a_chunk=len(images))
    service.queue.send(BatchMessage(batch_id))

    def read() -> BatchRow:
        with service._readers() as session:
            return session.get_one(BatchRow, batch_id)

    wait_until(lambda: read().next_chunk >= 2)
    job_id = service.send_job()  # it has its turn in the middle of the batch
    wait_until(lambda: service.read(job_id).state != JobState.QUEUED)
    assert read().state == "running"
    service.wait_for_end(job_id)
    first.kill()
    first.wait()
    done_before = read().num_done
    assert done_before < read().num_images
    service.start_worker()
    wait_until(lambda: read().state == "succeeded")
    assert (read().num_done, read().num_refused) == (num_chunks * len(images), 0)
    assert len(list(blobs.results(num_chunks))) == num_chunks * len(images)
    wait_until(lambda: service.store.keys("batches/bat_1/images") == [])


def restart_empty(redis: PrivateRedis) -> None:
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGKILL)
    wait_until(lambda: redis.pid is None)
    time.sleep(1.0)  # the worker notices
    assert redis.ensure_running()


def test_a_postgresql_that_is_killed_costs_neither_job_nor_attempt(own_postgres: PostgresServer, tmp_path: Path) -> None:
    url = own_postgres.create_database("vtt")
    with running_service(tmp_path, url) as service:
        own_postgres.kill()
        worker = service.start_worker()
        time.sleep(3)
        own_postgres.start()  # the worker has waited for it
        job_id = service.send_job()
        wait_until(lambda: service.read(job_id).step >= 2)
        own_postgres.kill()
        time.sleep(LEASE_SECONDS + 1)
        own_postgres.start()
        row = service.wait_for_end(job_id)
        assert (row.state, row.attempt, row.error) == (JobState.SUCCEEDED, 1, None)
        assert worker.poll() is None


def test_a_worker_that_is_asked_to_stop_requeues_its_job_and_ends_soon(service: Service) -> None:
    worker = service.start_worker()
    wait_until(lambda: bool(service.registry.live_workers()))
    job_id = service.send_job()
    wait_until(lambda: service.read(job_id).step >= 2)
    worker.terminate()
    assert worker.wait(60) == 0
    row = service.read(job_id)
    assert (row.state, row.attempt, row.holder) == (JobState.QUEUED, 0, None)
    assert service.registry.live_workers() == []
    service.wait_for_checkpoint(job_id)
    service.start_worker()
    row = service.wait_for_end(job_id)
    assert (row.state, row.attempt) == (JobState.SUCCEEDED, 1)
