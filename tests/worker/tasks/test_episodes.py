import pytest

from app.domain.messages import EpisodesMessage
from worker.celery_app import WorkerProcess, celery_app
from worker.context import WorkerContext
from worker.tasks import episodes


def test_the_task_computes_the_chunk_of_its_message(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []
    monkeypatch.setattr(WorkerProcess, "context", context)
    monkeypatch.setattr(episodes, "run_chunk", lambda *arguments: chunks.append(arguments))
    episodes.run("b1", 3)
    assert chunks == [(context, EpisodesMessage("b1", 3))]
    assert EpisodesMessage.task_name in celery_app.tasks
