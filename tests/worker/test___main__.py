"""A real worker process over a real Redis: killed, asked to stop, and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from app.domain.jobs import JobState
from app.domain.messages import FinetuneMessage
from app.infra.database import SessionFactory, make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.queue import JobQueue
from app.infra.reaper import Reaper
from app.infra.redis_server import PrivateRedis
from app.infra.settings import Settings
from app.infra.store import ObjectStore
from app.infra.tables import JobRow, ModelRow
from app.infra.workers import WorkerRegistry
from tests.worker.conftest import add_job, add_support_set

pytestmark = [pytest.mark.services, pytest.mark.slow]
ITERATIONS = 20
PATIENCE_SECONDS = 120.0


class Service:
    """Database, store, Redis and reaper, with as many worker processes as the test starts."""

    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir)
        migrate(self.settings.resolved_database_url)
        engine = make_engine(self.settings.resolved_database_url)
        self.session_factory: SessionFactory = make_session_factory(engine)
        self._readers = make_reader_factory(engine)
        self.store = ObjectStore(self.settings.resolved_store_url)
        self.queue = JobQueue(self.settings.resolved_broker_url)
        self.registry = WorkerRegistry(self.settings.resolved_broker_url)
        self.reaper = Reaper(self.session_factory, self.queue, 0.2)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self) -> subprocess.Popen[bytes]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VTT_")},
            "VTT_DATA_DIR": str(self.settings.data_dir),
            "VTT_DEVICE": "cpu",
            "VTT_LEASE_SECONDS": "3",
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

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def wait_for_end(self, job_id: str) -> JobRow:
        self.wait_until(lambda: JobState(self.read(job_id).state).is_final)
        return self.read(job_id)

    def wait_for_checkpoint(self, job_id: str) -> None:
        self.wait_until(lambda: self.store.exists(f"jobs/{job_id}/checkpoint.safetensors"))

    def adapter_files(self, job_id: str) -> dict[str, bytes]:
        with self._readers() as session:
            model = session.scalars(select(ModelRow).where(ModelRow.job_id == job_id)).one()
        keys = [f"{model.adapter_key}/{name}" for name in ("manifest.json", "adapter.safetensors")]
        return {key.rsplit("/", 1)[1]: content for key, content in self.store.get_many(keys).items()}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with PrivateRedis(tmp_path):
        running = Service(tmp_path)
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


def test_a_killed_worker_s_job_ends_with_the_bytes_of_an_undisturbed_one(service: Service) -> None:
    first = service.start_worker()
    undisturbed, disturbed = service.send_job(), service.send_job()
    assert service.wait_for_end(undisturbed).state == JobState.SUCCEEDED
    service.wait_for_checkpoint(disturbed)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    at_death = service.read(disturbed)
    assert at_death.state == JobState.RUNNING
    service.start_worker()
    row = service.wait_for_end(disturbed)
    assert (row.state, row.attempt, row.error) == (JobState.SUCCEEDED, 2, None)
    assert row.fencing_token > at_death.fencing_token
    assert service.adapter_files(disturbed) == service.adapter_files(undisturbed)


def test_a_worker_that_is_asked_to_stop_hands_its_job_back_and_ends_soon(service: Service) -> None:
    worker = service.start_worker()
    service.wait_until(lambda: bool(service.registry.live_workers()))
    job_id = service.send_job()
    service.wait_until(lambda: service.read(job_id).step >= 2)
    worker.terminate()
    assert worker.wait(20) == 0
    row = service.read(job_id)
    assert (row.state, row.attempt, row.holder) == (JobState.QUEUED, 0, None)
    assert service.registry.live_workers() == []
    service.wait_for_checkpoint(job_id)
    service.start_worker()
    row = service.wait_for_end(job_id)
    assert (row.state, row.attempt) == (JobState.SUCCEEDED, 1)
