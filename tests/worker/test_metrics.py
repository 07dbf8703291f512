"""A worker counts its attempts and steps, and tells them to Prometheus."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.infra.job_repository import JobRepository
from tests.fixtures.metric_names import check_conventions
from tests.worker.conftest import add_job
from worker import attempt
from worker.attempt import attempt_job
from worker.context import WorkerContext
from worker.metrics import Outcome, WorkerMetrics


def value(context: WorkerContext, name: str, **labels: str) -> float:
    return context.metrics.registry.get_sample_value(name, labels) or 0.0


def attempts(context: WorkerContext) -> dict[str, float]:
    counted = {outcome: value(context, "vtt_attempts_total", outcome=outcome) for outcome in Outcome}
    return {str(outcome): count for outcome, count in counted.items() if count}


@pytest.mark.slow
def test_a_job_that_succeeds_counts_its_steps_and_its_time(context: WorkerContext) -> None:
    attempt_job(context, add_job(context.session_factory, iterations=4))
    assert attempts(context) == {"succeeded": 1}
    assert value(context, "vtt_step_seconds_count") == 3, "the first step holds warm-up and does not count"
    assert value(context, "vtt_job_seconds_count") == 1
    assert value(context, "vtt_job_seconds_sum") > value(context, "vtt_step_seconds_sum") > 0
    assert value(context, "vtt_attempt_seconds_count", outcome="succeeded") == 1
    assert value(context, "vtt_worker_jobs_in_hand") == 0


def test_an_attempt_that_a_stop_interrupts_counts_as_handed_back(context: WorkerContext) -> None:
    context.stop.set()
    attempt_job(context, add_job(context.session_factory))
    assert attempts(context) == {"handed_back": 1}


@pytest.mark.slow
def test_an_attempt_at_a_job_with_an_error_of_the_user_has_failed(context: WorkerContext) -> None:
    attempt_job(context, add_job(context.session_factory, backbone_id="mini//nowhere.safetensors"))
    assert attempts(context) == {"failed": 1}


@pytest.mark.slow
def test_a_crash_is_counted_as_one(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(attempt, "open_adaptation", crash)
    attempt_job(context, add_job(context.session_factory))
    assert attempts(context) == {"crashed": 1}


@pytest.mark.slow
def test_a_lost_lease_is_counted_as_one(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = add_job(context.session_factory)
    open_adaptation = attempt.open_adaptation

    def lose(*arguments: object) -> object:
        with context.session_factory.begin() as session:
            row = JobRepository(session).get(job_id)
            row.fencing_token += 1
        return open_adaptation(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(attempt, "open_adaptation", lose)
    attempt_job(context, job_id)
    assert attempts(context) == {"lease_lost": 1}


def test_a_message_about_nothing_is_no_attempt(context: WorkerContext) -> None:
    attempt_job(context, "job_none")
    assert attempts(context) == {}


@pytest.mark.slow
def test_prometheus_is_answered_on_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    metrics = WorkerMetrics()
    served = metrics.serve("127.0.0.1", port)
    assert served is not None
    server, thread = served
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert 'vtt_attempts_total{outcome="lease_lost"} 0.0' in text


def test_a_taken_port_costs_the_metrics_and_not_the_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert WorkerMetrics().serve("127.0.0.1", taken.getsockname()[1]) is None


def test_nothing_listens_unless_asked_for() -> None:
    assert WorkerMetrics().serve("127.0.0.1", 0) is None


def test_names_follow_the_conventions() -> None:
    families = list(text_string_to_metric_families(generate_latest(WorkerMetrics().registry).decode()))
    check_conventions(families)
