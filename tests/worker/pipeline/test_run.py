from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from app.domain.errors import StaleLeaseError, StoreUnavailableError
from app.infra.checkpoints import checkpoint_key
from app.infra.clock import utc_now
from app.infra.leases import Lease, LeaseRepository
from app.infra.object_store import ObjectStore
from vtt_core.contract.support_set import SupportSet
from worker.backbones import BackboneCache
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat, StopRequestedError
from worker.pipeline.fetch import JobSpec
from worker.pipeline.run import open_adaptation, run_steps
from worker.progress import ProgressWriter


@pytest.mark.slow
def test_checkpoints_are_stored_every_few_steps_but_not_after_the_last(
    context: WorkerContext,
    spec: JobSpec,
    support_set: SupportSet,
    backbones: BackboneCache,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
) -> None:
    finetune = open_adaptation(spec, backbones.get("mini"), support_set, context.store)
    run_steps(finetune, spec.job_id, context.store, heartbeat, progress, checkpoint_steps=2)
    assert finetune.step == 4
    assert open_adaptation(spec, backbones.get("mini"), support_set, context.store).step == 2


@pytest.mark.slow
def test_a_stop_keeps_a_checkpoint_of_the_step_it_came_at(
    context: WorkerContext,
    spec: JobSpec,
    support_set: SupportSet,
    backbones: BackboneCache,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finetune = open_adaptation(spec, backbones.get("mini"), support_set, context.store)
    show = progress.show
    monkeypatch.setattr(progress, "show", lambda report: (context.stop.set() if report.step == 3 else None, show(report))[1])
    with pytest.raises(StopRequestedError):
        run_steps(finetune, spec.job_id, context.store, heartbeat, progress, checkpoint_steps=100)
    assert open_adaptation(spec, backbones.get("mini"), support_set, context.store).step == 3


def test_a_stale_worker_puts_no_checkpoint(
    context: WorkerContext,
    spec: JobSpec,
    support_set: SupportSet,
    backbones: BackboneCache,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
    lease: Lease,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finetune = open_adaptation(spec, backbones.get("mini"), support_set, context.store)
    with context.session_factory.begin() as session:
        assert LeaseRepository(session).claim(lease.job_id, "other", 30, utc_now() + timedelta(minutes=1)) is not None
    monkeypatch.setattr(heartbeat, "check", lambda: None)
    monkeypatch.setattr(progress, "show", lambda report: False)
    with pytest.raises(StaleLeaseError):
        run_steps(finetune, spec.job_id, context.store, heartbeat, progress, checkpoint_steps=1)
    assert not context.store.exists(checkpoint_key(lease.job_id))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["database", "store"])
def test_a_checkpoint_that_cannot_be_kept_stops_nothing(
    context: WorkerContext,
    spec: JobSpec,
    support_set: SupportSet,
    backbones: BackboneCache,
    heartbeat: Heartbeat,
    progress: ProgressWriter,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
) -> None:
    def fail(*_: object) -> None:
        if part == "database":
            raise OperationalError("UPDATE", {}, ConnectionResetError())
        raise StoreUnavailableError(expected="a", got="b", remedy="c")

    finetune = open_adaptation(spec, backbones.get("mini"), support_set, context.store)
    if part == "database":
        monkeypatch.setattr(heartbeat, "renew", fail)
    else:
        monkeypatch.setattr(ObjectStore, "put", fail)
    run_steps(finetune, spec.job_id, context.store, heartbeat, progress, checkpoint_steps=1)
    assert finetune.step == 4
    context.stop.set()
    again = open_adaptation(spec, backbones.get("mini"), support_set, context.store)
    with pytest.raises(StopRequestedError):
        run_steps(again, spec.job_id, context.store, heartbeat, progress, checkpoint_steps=1)
