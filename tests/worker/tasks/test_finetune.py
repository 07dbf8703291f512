import pytest

from worker.celery_app import WorkerProcess
from worker.context import WorkerContext
from worker.tasks import finetune


def test_the_task_attempts_the_job_of_its_message(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []
    monkeypatch.setattr(WorkerProcess, "context", context)
    monkeypatch.setattr(finetune, "attempt_job", lambda *arguments: attempts.append(arguments))
    finetune.run("job_1")
    assert attempts == [(context, "job_1")]
