from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.errors import StaleLeaseError, StoreUnavailableError
from app.domain.jobs import JobState
from app.infra.checkpoints import clear_ended_jobs
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import ModelRow
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import adapter_from_files
from vtt_core.contract.support_set import SupportSet
from worker.backbones import BackboneCache
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.outage_retry import OutageRetry
from worker.pipeline.fetch import JobSpec
from worker.pipeline.publish import publish
from worker.pipeline.run import open_adaptation


@pytest.fixture
def adaptation(context: WorkerContext, spec: JobSpec, support_set: SupportSet, backbones: BackboneCache) -> Adaptation:
    return open_adaptation(spec, backbones.get("mini"), support_set, context.store)


def call_publish(context: WorkerContext, adaptation: Adaptation, spec: JobSpec, lease: Lease, heartbeat: Heartbeat) -> str:
    return publish(context, adaptation, spec, lease, OutageRetry(5, heartbeat.check))


@pytest.mark.slow
def test_a_published_adapter_can_be_loaded_and_has_its_row(
    context: WorkerContext, adaptation: Adaptation, support_set: SupportSet, spec: JobSpec, lease: Lease, heartbeat: Heartbeat
) -> None:
    model_id = call_publish(context, adaptation, spec, lease, heartbeat)
    with context.session_factory() as session:
        model = session.scalars(select(ModelRow)).one()
        assert JobRepository(session).get(spec.job_id).state == JobState.SUCCEEDED
    files = {name: context.store.get(f"models/{model_id}/{name}") for name in ("manifest.json", "adapter.safetensors")}
    adapter = adapter_from_files(files)
    assert list(adapter.manifest.labels) == model.labels == list(support_set.labels)
    assert adapter.manifest.backbone_sha256 == model.backbone_sha256
    assert model.metrics


@pytest.mark.slow
def test_a_lease_lost_while_verifying_leaves_neither_row_nor_files(
    context: WorkerContext,
    adaptation: Adaptation,
    spec: JobSpec,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take_over() -> None:
        with context.session_factory.begin() as session:
            assert LeaseRepository(session).claim(lease.job_id, "other", 30, utc_now() + timedelta(minutes=1)) is not None

    monkeypatch.setattr(heartbeat, "check", take_over)
    with pytest.raises(StaleLeaseError):
        call_publish(context, adaptation, spec, lease, heartbeat)
    with context.session_factory() as session:
        assert session.scalars(select(ModelRow)).all() == []
    assert list((context.settings.data_dir / "blobs").glob("models/*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["begin_verifying", "succeed"])
@pytest.mark.parametrize("has_arrived", [False, True], ids=["before_the_commit", "after_the_commit"])
def test_a_connection_that_breaks_at_a_commit_costs_nothing(
    context: WorkerContext,
    adaptation: Adaptation,
    spec: JobSpec,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    has_arrived: bool,
) -> None:
    write, num_breaks = getattr(LeaseRepository, name), 0

    def write_and_break(repository: LeaseRepository, *arguments: Any) -> None:
        nonlocal num_breaks
        write(repository, *arguments)
        num_breaks += 1
        if num_breaks == 1:
            if has_arrived:
                repository._session.commit()
            raise OperationalError("COMMIT", {}, ConnectionResetError())

    monkeypatch.setattr(LeaseRepository, name, write_and_break)
    model_id = call_publish(context, adaptation, spec, lease, heartbeat)
    with context.session_factory() as session:
        model = session.scalars(select(ModelRow)).one()
        states = [event.payload["state"] for event in JobRepository(session).events_after(spec.job_id, 0)]
    assert model.id == model_id
    assert states == ["queued", "running", "verifying", "succeeded"]
    assert context.store.exists(f"{model.adapter_key}/manifest.json")
    assert context.store.exists(f"{model.adapter_key}/adapter.safetensors")


@pytest.mark.slow
def test_a_store_that_is_away_for_a_moment_costs_nothing(
    context: WorkerContext,
    adaptation: Adaptation,
    spec: JobSpec,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put, keys = ObjectStore.put, []

    def refuse_once(self: ObjectStore, key: str, content: bytes) -> None:
        keys.append(key)
        if keys.count(key) == 1:
            raise StoreUnavailableError(expected="a", got="b", remedy="c")
        put(self, key, content)

    monkeypatch.setattr(ObjectStore, "put", refuse_once)
    model_id = call_publish(context, adaptation, spec, lease, heartbeat)
    assert context.store.exists(f"models/{model_id}/manifest.json")
    assert len(keys) == 2 * len(set(keys)) == 6


@pytest.mark.slow
def test_files_of_a_publisher_that_dies_before_the_row_are_cleared_once_the_job_has_ended(
    context: WorkerContext,
    adaptation: Adaptation,
    spec: JobSpec,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LeaseRepository, "succeed", die)
        with pytest.raises(KeyboardInterrupt):
            call_publish(context, adaptation, spec, lease, heartbeat)
    with context.session_factory.begin() as session:
        lease = LeaseRepository(session).claim(lease.job_id, "other", 30, utc_now() + timedelta(minutes=1))  # type: ignore[assignment]
    model_id = publish(context, adaptation, spec, lease, OutageRetry(5, lambda: None))
    assert len(context.store.folders("models")) == 2
    assert clear_ended_jobs(context.session_factory, context.store) == [spec.job_id]
    assert context.store.folders("models") == [model_id]
    assert context.store.folders("jobs") == []
