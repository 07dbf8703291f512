from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import torch
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.errors import StoreUnavailableError
from app.domain.jobs import JobState
from app.infra.clock import utc_now
from app.infra.database import make_engine, make_session_factory
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import JobRow, ModelRow
from tests.worker.conftest import SentMessages, add_job, add_support_set
from vtt_core.contract.progress import StepReport
from vtt_core.training.finetune import Finetune
from worker import attempt, outage_retry
from worker.attempt import attempt_job
from worker.context import WorkerContext

ReadJob = Callable[[str], JobRow]


def models(context: WorkerContext) -> list[ModelRow]:
    with context.session_factory() as session:
        return list(session.scalars(select(ModelRow).where(~ModelRow.is_interim)))


def adapter_files(context: WorkerContext, model: ModelRow) -> dict[str, bytes]:
    return {name: context.store.get(f"{model.adapter_key}/{name}") for name in ("manifest.json", "adapter.safetensors")}


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Do something once, when a fine-tuning has finished this step."""
    steps, done = Finetune.steps, []

    def steps_with_action(self: Finetune) -> Iterator[StepReport]:
        for report in steps(self):
            if report.step == step and not done:
                done.append(action())
            yield report

    monkeypatch.setattr(Finetune, "steps", steps_with_action)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def raise_it(*_: object) -> None:
        raise error

    monkeypatch.setattr(attempt, "open_adaptation", raise_it)


def test_a_job_ends_with_a_published_model(context: WorkerContext, read_job: ReadJob) -> None:
    job_id = add_job(context.session_factory)
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.step, row.error, row.attempt) == (JobState.SUCCEEDED, 3, None, 1)
    [model] = models(context)
    assert (model.job_id, model.labels, model.backbone_id) == (job_id, ["red square", "blue square"], "mini")
    assert model.adapter_bytes == sum(map(len, adapter_files(context, model).values()))
    with context.session_factory() as session:
        events = JobRepository(session).events_after(job_id, 0)
    assert [event.payload["state"] for event in events if event.kind == "state"] == [
        "queued",
        "running",
        "verifying",
        "succeeded",
    ]
    assert [event.payload["step"] for event in events if event.kind == "progress"][-1] == 3
    assert not context.store.exists(f"jobs/{job_id}/checkpoint.safetensors")
    assert context.job_ids == []


@pytest.mark.slow
@pytest.mark.services
def test_a_job_runs_on_postgresql_as_well(context: WorkerContext, postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    on_postgres = replace(context, session_factory=make_session_factory(engine))
    add_support_set(on_postgres.session_factory, on_postgres.store)
    job_id = add_job(on_postgres.session_factory, iterations=2)
    attempt_job(on_postgres, job_id)
    [model] = models(on_postgres)
    assert model.job_id == job_id
    engine.dispose()


@pytest.mark.slow
def test_the_same_message_twice_runs_once(context: WorkerContext, read_job: ReadJob) -> None:
    job_id = add_job(context.session_factory, iterations=1)
    attempt_job(context, job_id)
    before = read_job(job_id)
    attempt_job(context, job_id)
    after = read_job(job_id)
    assert (after.fencing_token, after.attempt, after.finished_at) == (before.fencing_token, 1, before.finished_at)
    assert len(models(context)) == 1


def test_a_message_about_a_job_that_another_worker_holds_ends_at_once(context: WorkerContext, read_job: ReadJob) -> None:
    job_id = add_job(context.session_factory)
    with context.session_factory.begin() as session:
        LeaseRepository(session).claim(job_id, "other", 30, utc_now())
    attempt_job(context, job_id)
    assert read_job(job_id).holder == "other"


def test_a_message_about_no_job_ends_at_once(context: WorkerContext) -> None:
    attempt_job(context, "job_none")


@pytest.mark.slow
def test_an_error_that_the_user_can_correct_fails_the_job_at_once(
    context: WorkerContext, read_job: ReadJob, sent: SentMessages
) -> None:
    job_id = add_job(context.session_factory, backbone_id="no-such/backbone")
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.attempt, sent.job_ids) == (JobState.FAILED, 1, [])
    assert row.error is not None
    assert row.error["code"] == "backbone.unknown"
    assert "no-such/backbone" in row.error["got"]


def test_a_blob_that_vanished_is_named(context: WorkerContext, read_job: ReadJob) -> None:
    job_id = add_job(context.session_factory)
    context.store.delete("support-sets/set_1/img_2")
    attempt_job(context, job_id)
    error = read_job(job_id).error
    assert error is not None
    assert error["code"] == "store.missing"
    assert "img_2" in error["expected"]


@pytest.mark.slow
def test_a_poisonous_job_ends_failed_after_three_attempts(
    context: WorkerContext, read_job: ReadJob, sent: SentMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory)
    fail_with(monkeypatch, RuntimeError("the device says no"))
    states = []
    for _ in range(4):
        attempt_job(context, job_id)
        states.append(read_job(job_id).state)
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED, JobState.FAILED]
    assert sent.job_ids == [job_id, job_id]
    row = read_job(job_id)
    assert row.error is not None
    assert (row.attempt, row.error["code"], row.error["got"]) == (3, "job.crashed", "RuntimeError: the device says no")


@pytest.mark.slow
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_named(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    job_id = add_job(context.session_factory)
    fail_with(monkeypatch, error)
    for _ in range(3):
        attempt_job(context, job_id)
    row = read_job(job_id)
    assert row.error is not None
    assert (row.state, row.error["code"]) == (JobState.FAILED, "job.out_of_memory")
    assert "batch_size" in row.error["remedy"]


@pytest.mark.slow
def test_a_running_job_is_cancelled_at_its_next_step(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory, iterations=500)

    def cancel() -> None:
        with context.session_factory.begin() as session:
            JobRepository(session).request_cancel(job_id, utc_now())

    after_step(monkeypatch, 2, cancel)
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.holder, models(context)) == (JobState.CANCELLED, None, [])
    assert row.step < 100
    assert not context.store.exists(f"jobs/{job_id}/checkpoint.safetensors")


@pytest.mark.slow
def test_a_requeued_job_goes_on_elsewhere_and_ends_with_the_same_bytes(
    context: WorkerContext, read_job: ReadJob, sent: SentMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt_job(context, add_job(context.session_factory, iterations=5))
    [undisturbed] = models(context)
    job_id = add_job(context.session_factory, iterations=5)
    with monkeypatch.context() as patch:
        after_step(patch, 2, context.stop.set)
        attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.attempt, row.holder, sent.job_ids) == (JobState.QUEUED, 0, None, [job_id])
    assert context.store.exists(f"jobs/{job_id}/checkpoint.safetensors")

    context.stop.clear()
    taken_steps: list[int] = []
    after_step(monkeypatch, 3, lambda: taken_steps.append(3))
    after_step(monkeypatch, 2, lambda: taken_steps.append(2))
    attempt_job(replace(context, holder="worker-2"), job_id)
    [resumed] = [model for model in models(context) if model.id != undisturbed.id]
    assert read_job(job_id).attempt == 1
    assert taken_steps == [3]
    assert adapter_files(context, resumed) == adapter_files(context, undisturbed)


@pytest.mark.slow
def test_a_worker_that_lost_its_lease_publishes_nothing(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory)

    def take_over() -> None:
        with context.session_factory.begin() as session:
            assert LeaseRepository(session).claim(job_id, "other", 30, utc_now() + timedelta(minutes=1)) is not None

    after_step(monkeypatch, 3, take_over)
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.holder, row.attempt, models(context)) == (JobState.RUNNING, "other", 2, [])


@pytest.mark.slow
def test_a_checkpoint_of_something_else_is_put_aside(context: WorkerContext, read_job: ReadJob) -> None:
    job_id = add_job(context.session_factory, iterations=1)
    context.store.put(f"jobs/{job_id}/checkpoint.safetensors", b"not a checkpoint")
    attempt_job(context, job_id)
    assert read_job(job_id).state == JobState.SUCCEEDED


@pytest.mark.slow
def test_a_store_that_refuses_the_adapter_leaves_no_model(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory, iterations=1)
    put = ObjectStore.put

    def refuse(self: ObjectStore, key: str, content: bytes) -> None:
        if key.endswith("adapter.safetensors"):
            raise OSError("disk full")
        put(self, key, content)

    monkeypatch.setattr(ObjectStore, "put", refuse)
    attempt_job(context, job_id)
    assert (read_job(job_id).state, models(context)) == (JobState.QUEUED, [])


AWAY = {
    "database": OperationalError("SELECT", {}, ConnectionResetError()),
    "store": StoreUnavailableError(expected="a", got="b", remedy="c"),
}


def fail_at_first(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception, num_times: int = 1) -> list[int]:
    """Let a method raise some times before it works."""
    method, calls = getattr(owner, name), []

    def fail_then_work(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) <= num_times:
            raise error
        return method(*arguments, **named)

    monkeypatch.setattr(owner, name, fail_then_work)
    return calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "part"),
    [
        (LeaseRepository, "claim", "database"),
        (JobRepository, "get", "database"),
        (ObjectStore, "get_many", "store"),
        (ObjectStore, "exists", "store"),
        (LeaseRepository, "report_progress", "database"),
        (LeaseRepository, "begin_verifying", "database"),
        (LeaseRepository, "succeed", "database"),
        (ObjectStore, "put", "store"),
        (ObjectStore, "delete_prefix", "store"),
    ],
)
def test_a_short_outage_costs_neither_the_job_nor_an_attempt(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, part: str
) -> None:
    job_id = add_job(context.session_factory, iterations=2)
    with monkeypatch.context() as patch:
        patch.setattr(outage_retry, "PAUSE_SECONDS", 0.01)
        calls = fail_at_first(patch, owner, name, AWAY[part])
        attempt_job(context, job_id)
        assert calls
    row = read_job(job_id)
    assert (row.state, row.attempt, len(models(context))) == (JobState.SUCCEEDED, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cancel_by_worker", "fail", "requeue"])
def test_the_end_of_a_job_is_written_after_a_short_outage(
    context: WorkerContext, read_job: ReadJob, sent: SentMessages, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    backbone_id = "no-such/backbone" if name == "fail" else "mini"
    job_id = add_job(context.session_factory, iterations=2, backbone_id=backbone_id)

    def cancel() -> None:
        with context.session_factory.begin() as session:
            JobRepository(session).request_cancel(job_id, utc_now())

    after_step(monkeypatch, 1, context.stop.set if name == "requeue" else cancel)
    monkeypatch.setattr(outage_retry, "PAUSE_SECONDS", 0.01)
    fail_at_first(monkeypatch, LeaseRepository, name, AWAY["database"])
    attempt_job(context, job_id)
    expected = {"cancel_by_worker": JobState.CANCELLED, "fail": JobState.FAILED, "requeue": JobState.QUEUED}
    assert read_job(job_id).state == expected[name]
    assert sent.job_ids == ([job_id] if name == "requeue" else [])


@pytest.mark.slow
def test_an_outage_that_outlasts_a_lease_hands_the_job_back_and_does_not_count(
    context: WorkerContext, read_job: ReadJob, sent: SentMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = replace(context, settings=context.settings.model_copy(update={"lease_seconds": 0.2}))
    job_id = add_job(context.session_factory, iterations=2)
    monkeypatch.setattr(outage_retry, "PAUSE_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        fail_at_first(patch, ObjectStore, "get_many", AWAY["store"], num_times=10**9)
        for _ in range(4):
            attempt_job(hasty, job_id)
    row = read_job(job_id)
    assert (row.state, row.attempt, row.error, sent.job_ids) == (JobState.QUEUED, 0, None, [job_id] * 4)
    attempt_job(context, job_id)
    assert read_job(job_id).state == JobState.SUCCEEDED


@pytest.mark.slow
def test_a_claim_whose_answer_got_lost_is_repeated_in_the_same_attempt(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory, iterations=1)
    claim, calls = LeaseRepository.claim, []

    def claim_and_break(self: LeaseRepository, *arguments: Any) -> Lease | None:
        lease = claim(self, *arguments)
        calls.append(1)
        if len(calls) == 1:
            self._session.commit()
            raise AWAY["database"]
        return lease

    monkeypatch.setattr(LeaseRepository, "claim", claim_and_break)
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.attempt, len(calls)) == (JobState.SUCCEEDED, 1, 2)
