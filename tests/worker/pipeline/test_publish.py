from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.errors import StaleLeaseError
from app.domain.jobs import JobState
from app.infra.clock import utc_now
from app.infra.jobs import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.tables import ModelRow
from vtt_core.adapter import adapter_from_files
from vtt_core.contract.support_set import SupportSet
from vtt_core.finetune import Finetune
from worker.backbones import BackboneCache
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.pipeline.fetch import Order
from worker.pipeline.publish import publish
from worker.pipeline.run import open_finetune


@pytest.fixture
def finetune(context: WorkerContext, order: Order, support_set: SupportSet, backbones: BackboneCache) -> Finetune:
    return open_finetune(order, backbones.get("mini"), support_set, context.store)


def call_publish(
    context: WorkerContext, finetune: Finetune, support_set: SupportSet, order: Order, lease: Lease, heartbeat: Heartbeat
) -> str:
    return publish(
        finetune,
        support_set,
        order,
        lease=lease,
        heartbeat=heartbeat,
        session_factory=context.session_factory,
        store=context.store,
        clock=context.clock,
    )


def test_what_is_published_can_be_loaded_and_has_its_row(
    context: WorkerContext, finetune: Finetune, support_set: SupportSet, order: Order, lease: Lease, heartbeat: Heartbeat
) -> None:
    model_id = call_publish(context, finetune, support_set, order, lease, heartbeat)
    with context.session_factory() as session:
        model = session.scalars(select(ModelRow)).one()
        assert JobRepository(session).get(order.job_id).state == JobState.SUCCEEDED
    files = {name: context.store.get(f"models/{model_id}/{name}") for name in ("manifest.json", "adapter.safetensors")}
    adapter = adapter_from_files(files)
    assert list(adapter.manifest.labels) == model.labels == list(support_set.labels)
    assert adapter.manifest.backbone_sha256 == model.backbone_sha256
    assert model.metrics


def test_a_lease_lost_while_verifying_leaves_neither_row_nor_files(
    context: WorkerContext,
    finetune: Finetune,
    support_set: SupportSet,
    order: Order,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take_over() -> None:
        with context.session_factory.begin() as session:
            assert LeaseRepository(session).claim(lease.job_id, "other", 30, utc_now() + timedelta(minutes=1)) is not None

    monkeypatch.setattr(heartbeat, "check", take_over)
    with pytest.raises(StaleLeaseError):
        call_publish(context, finetune, support_set, order, lease, heartbeat)
    with context.session_factory() as session:
        assert session.scalars(select(ModelRow)).all() == []
    assert list((context.settings.data_dir / "blobs").glob("models/*/*")) == []


def test_a_connection_that_breaks_after_the_commit_arrived_leaves_the_files_of_the_published_model(
    context: WorkerContext,
    finetune: Finetune,
    support_set: SupportSet,
    order: Order,
    lease: Lease,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    succeed = LeaseRepository.succeed

    def succeed_and_break(repository: LeaseRepository, lease: Lease, model: ModelRow, now: datetime) -> None:
        succeed(repository, lease, model, now)
        repository._session.commit()
        raise OperationalError("COMMIT", {}, ConnectionResetError())

    monkeypatch.setattr(LeaseRepository, "succeed", succeed_and_break)
    with pytest.raises(OperationalError):
        call_publish(context, finetune, support_set, order, lease, heartbeat)
    with context.session_factory() as session:
        model = session.scalars(select(ModelRow)).one()
    assert context.store.exists(f"{model.adapter_key}/manifest.json")
    assert context.store.exists(f"{model.adapter_key}/adapter.safetensors")
