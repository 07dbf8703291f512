"""The model that serves while a fine-tuning runs: it comes once, goes with the job's success, and leaves nothing behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.errors import GoneError, StoreUnavailableError
from app.domain.jobs import JobState
from app.infra.checkpoints import clear_ended_jobs, note_draft
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository, NewJob
from app.infra.leases import LeaseRepository
from app.infra.model_repository import ModelRepository
from app.infra.tables import JobRow, ModelRow
from tests.worker.conftest import add_job
from tests.worker.test_attempt import adapter_files, after_step
from vtt_core.adapter.files import adapter_from_files
from vtt_core.contract.recipe import make_recipe
from worker import attempt, outage_retry
from worker.attempt import attempt_job
from worker.context import WorkerContext
from worker.pipeline import publish

ReadJob = Callable[[str], JobRow]


def interims(context: WorkerContext) -> list[ModelRow]:
    with context.session_factory() as session:
        return list(session.scalars(select(ModelRow).where(ModelRow.is_interim)))


def final_ids(context: WorkerContext) -> list[str]:
    with context.session_factory() as session:
        return list(session.scalars(select(ModelRow.id).where(~ModelRow.is_interim)))


def cancel(context: WorkerContext, job_id: str) -> None:
    with context.session_factory.begin() as session:
        JobRepository(session).request_cancel(job_id, utc_now())


@pytest.mark.slow
def test_it_can_be_read_while_the_fine_tuning_runs_and_the_final_model_replaces_it(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, seen = add_job(context.session_factory), []

    def look() -> None:
        [model] = interims(context)
        manifest = adapter_from_files(adapter_files(context, model)).manifest
        seen.append((read_job(job_id).state, model.deleted_at, list(manifest.labels), manifest.recipe["method"]))

    after_step(monkeypatch, 1, look)
    attempt_job(context, job_id)
    assert seen == [(JobState.RUNNING, None, ["red square", "blue square"], "frozen")]
    [model], [final_id] = interims(context), final_ids(context)
    assert context.store.folders("models") == [final_id]
    with context.session_factory() as session:
        assert ModelRepository(session).resolve(job_id).id == final_id
        with pytest.raises(GoneError, match=final_id):
            ModelRepository(session).get(model.id)
        kinds = [event.kind for event in JobRepository(session).events_after(job_id, 0)]
    assert [kind for kind in kinds if kind != "progress"] == ["state", "state", "interim_model", "state", "state"]
    assert kinds.index("interim_model") < kinds.index("progress")


@pytest.mark.slow
def test_it_stays_when_the_job_is_cancelled(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = add_job(context.session_factory, iterations=500)
    after_step(monkeypatch, 2, lambda: cancel(context, job_id))
    attempt_job(context, job_id)
    [model] = interims(context)
    assert (model.deleted_at, final_ids(context), context.store.folders("jobs")) == (None, [], [])
    assert adapter_from_files(adapter_files(context, model)).head is not None


@pytest.mark.slow
def test_a_later_attempt_finds_it_and_publishes_no_second_one(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory)

    def crash() -> None:
        raise RuntimeError("the device says no")

    with monkeypatch.context() as patch:
        after_step(patch, 1, crash)
        attempt_job(context, job_id)
    first = interims(context)
    assert (read_job(job_id).state, len(first)) == (JobState.QUEUED, 1)
    attempt_job(replace(context, holder="worker-2"), job_id)
    assert read_job(job_id).state == JobState.SUCCEEDED
    assert [model.id for model in interims(context)] == [first[0].id]
    assert context.store.folders("models") == final_ids(context)


@pytest.mark.slow
def test_one_that_its_owner_deleted_does_not_come_back(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = add_job(context.session_factory)

    def delete_and_stop() -> None:
        with context.session_factory.begin() as session:
            ModelRepository(session).delete(interims(context)[0].id, utc_now())
        context.stop.set()

    with monkeypatch.context() as patch:
        after_step(patch, 1, delete_and_stop)
        attempt_job(context, job_id)
    deleted_at = interims(context)[0].deleted_at
    context.stop.clear()
    attempt_job(context, job_id)
    assert [model.deleted_at for model in interims(context)] == [deleted_at]


@pytest.mark.parametrize("method", ["auto", "frozen"])
def test_a_job_that_fine_tunes_nothing_has_none(context: WorkerContext, read_job: ReadJob, method: str) -> None:
    recipe = make_recipe(method, backbone_id="mini")
    with context.session_factory.begin() as session:
        job_id = JobRepository(session).create(NewJob("set_1", "mini", recipe, 7, "0" * 64), utc_now())[0].id
    attempt_job(context, job_id)
    assert (read_job(job_id).state, interims(context), len(final_ids(context))) == (JobState.SUCCEEDED, [], 1)


@pytest.mark.slow
def test_files_of_a_worker_that_dies_before_the_row_are_removed_with_the_job(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LeaseRepository, "publish_interim", die)
        with pytest.raises(KeyboardInterrupt):
            attempt_job(context, job_id)
    assert (len(context.store.folders("models")), interims(context)) == (1, [])
    attempt_job(context, job_id)
    assert context.store.folders("models") == final_ids(context)
    assert context.store.folders("jobs") == []


def test_a_worker_that_lost_its_lease_publishes_none(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(context.session_factory)

    def note_too_late(*arguments: Any) -> None:
        with context.session_factory.begin() as session:
            assert LeaseRepository(session).claim(job_id, "other", 30, utc_now() + timedelta(minutes=1)) is not None
        note_draft(*arguments)

    monkeypatch.setattr(publish, "note_draft", note_too_late)
    attempt_job(context, job_id)
    assert (read_job(job_id).holder, interims(context), context.store.folders("models")) == ("other", [], [])


@pytest.mark.slow
@pytest.mark.parametrize("has_arrived", [False, True], ids=["before_the_commit", "after_the_commit"])
def test_a_connection_that_breaks_at_its_commit_costs_nothing(
    context: WorkerContext, read_job: ReadJob, monkeypatch: pytest.MonkeyPatch, has_arrived: bool
) -> None:
    job_id, write, num_breaks = add_job(context.session_factory), LeaseRepository.publish_interim, 0

    def write_and_break(repository: LeaseRepository, *arguments: Any) -> None:
        nonlocal num_breaks
        write(repository, *arguments)
        num_breaks += 1
        if num_breaks == 1:
            if has_arrived:
                repository._session.commit()
            raise OperationalError("COMMIT", {}, ConnectionResetError())

    monkeypatch.setattr(outage_retry, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(LeaseRepository, "publish_interim", write_and_break)
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert (row.state, row.attempt, len(interims(context))) == (JobState.SUCCEEDED, 1, 1)
    assert context.store.folders("models") == final_ids(context)


@pytest.mark.slow
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["succeeded", "cancelled"])
def test_the_reaper_removes_what_an_outage_left_of_it_and_keeps_one_that_stays(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    job_id = add_job(context.session_factory)

    def away(*_: object) -> None:
        raise StoreUnavailableError(expected="a", got="b", remedy="c")

    if is_cancelled:
        after_step(monkeypatch, 1, lambda: cancel(context, job_id))
    with monkeypatch.context() as patch:
        patch.setattr(attempt, "clear_job", away)
        attempt_job(context, job_id)
    assert clear_ended_jobs(context.session_factory, context.store) == [job_id]
    kept = [model.id for model in interims(context)] if is_cancelled else final_ids(context)
    assert (context.store.folders("models"), len(kept)) == (kept, 1)
