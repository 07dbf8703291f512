from typing import Any

import pytest
from celery import signals
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from app.domain.messages import BatchMessage, EpisodesMessage, ExportMessage, FinetuneMessage
from app.infra.queue import VISIBILITY_TIMEOUT_SECONDS, JobQueue
from app.infra.settings import Settings, load_settings
from worker import celery_app as module
from worker.celery_app import WorkerProcess, celery_app
from worker.context import WorkerContext


def test_redis_gives_no_message_away_while_a_worker_may_hold_its_lease() -> None:
    timeout = celery_app.conf.broker_transport_options["visibility_timeout"]
    assert load_settings().lease_seconds * 100 < timeout == VISIBILITY_TIMEOUT_SECONDS


def test_a_shutdown_asks_the_running_job_to_stop(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerProcess, "context", context)
    signals.worker_shutting_down.send(sender="worker", sig="SIGTERM")
    assert context.stop.is_set()


def test_a_ready_worker_says_which_scan_it_uses_and_why(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    class Started:
        def start(self) -> None:
            pass

    monkeypatch.setattr(WorkerProcess, "context", context)
    monkeypatch.setattr(WorkerProcess, "liveness", Started())
    with capture_logs() as lines:
        signals.worker_ready.send(sender="worker")
    (line,) = lines
    assert (line["event"], line["device"], line["scan"]) == ("worker_ready", "cpu", "compiled")
    assert "CPU" in line["scan_reason"]


def test_a_worker_waits_for_a_database_that_starts_after_it(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[WorkerContext | Exception] = [OperationalError("SELECT", {}, ConnectionRefusedError()), context]

    def open_at_the_second_try(_: Settings) -> WorkerContext:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "open_context", open_at_the_second_try)
    monkeypatch.setattr(module, "START_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_set_up_logging", lambda **_: None)
    monkeypatch.setattr(WorkerProcess, "context", None)
    monkeypatch.setattr(WorkerProcess, "liveness", None)
    signals.worker_init.send(sender="worker")
    assert WorkerProcess.context is context


def test_a_worker_that_cannot_start_ends_without_taking_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Settings) -> WorkerContext:
        raise RuntimeError("no such device")

    monkeypatch.setattr(module, "open_context", fail)
    monkeypatch.setattr(module, "_set_up_logging", lambda **_: None)
    with pytest.raises(SystemExit):  # celery logs an Exception of a handler and goes on
        signals.worker_init.send(sender="worker")


@pytest.mark.services
def test_jobs_batches_and_exports_take_turns_and_go_before_episodes_that_came_earlier(broker_url: str) -> None:
    queue = JobQueue(broker_url)
    episodes = [EpisodesMessage("b1", 0), EpisodesMessage("b1", 1)]
    jobs = [FinetuneMessage("job_1"), FinetuneMessage("job_2")]
    for message in (*episodes, *jobs, *(BatchMessage(f"bat_{place}") for place in range(3)), ExportMessage("exp_1")):
        queue.send(message)
    queue.close()
    taken: list[str] = []
    with celery_app.connection_for_read(broker_url) as connection:
        connection.transport_options = celery_app.conf.broker_transport_options

        def take(_: object, message: Any) -> None:
            taken.append(message.headers["task"])
            message.ack()

        queues = list(celery_app.amqp.queues.consume_from.values())
        assert len(queues) == 4
        consumer = connection.Consumer(queues, callbacks=[take], accept=["json"])
        consumer.qos(prefetch_count=1)
        with consumer:
            for _ in range(8):
                connection.drain_events(timeout=10)
    turn = ["batches.run", "exports.run", "finetune.run"]
    assert taken == [*turn, "batches.run", "finetune.run", "batches.run", "episodes.run", "episodes.run"]
