"""The tasks by which messages reach the code that does the work."""

import pytest

from app.domain.jobs import JobState
from app.domain.messages import EpisodesMessage, FinetuneMessage
from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from app.infra.job_repository import JobRepository
from tests.worker.conftest import add_job
from worker.celery_app import WorkerProcess, celery_app
from worker.context import WorkerContext


@pytest.fixture(autouse=True)
def _worker_process(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerProcess, "context", context)
    celery_app.loader.import_default_modules()


@pytest.mark.slow
def test_a_finetune_message_runs_its_job(context: WorkerContext) -> None:
    job_id = add_job(context.session_factory, iterations=1)
    celery_app.tasks[FinetuneMessage.task_name](job_id)
    with context.session_factory() as session:
        assert JobRepository(session).get(job_id).state == JobState.SUCCEEDED


@pytest.mark.slow
def test_an_episodes_message_computes_its_chunk(context: WorkerContext) -> None:
    blobs = BenchmarkBlobs(context.store, "b1")
    protocol = {"way": 2, "shot": 1, "num_queries": 1, "num_episodes": 8, "seed": 0}
    blobs.put_spec(EpisodesSpec("no/such", protocol, "zero-shot", {}, 1, 2, {}), b"")
    celery_app.tasks[EpisodesMessage.task_name]("b1", 3)
    assert context.store.keys("benchmarks/b1/errors") == ["benchmarks/b1/errors/3"]
