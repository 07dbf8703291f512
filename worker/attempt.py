"""Make one attempt at a job: claim it, run the pipeline, and write how it ended."""

from __future__ import annotations

import time
from functools import partial

import structlog
from sqlalchemy.orm import Session

from app.domain.jobs import FINAL_STATES, JobState
from app.domain.messages import FinetuneMessage
from app.infra.checkpoints import clear_job, models_of
from app.infra.leases import Lease, LeaseRepository
from app.infra.outages import OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.tables import JobRow
from app.infra.telemetry import bind_job, unbind_job
from app.infra.tracing import attempt_span
from vtt_core.adapter.new_head import NewHead
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext
from worker.heartbeat import CancelRequestedError, Heartbeat
from worker.metrics import Outcome
from worker.outage_retry import OutageRetry
from worker.pipeline.fetch import JobSpec, fetch_support_set, read_job_spec, show_bands
from worker.pipeline.new_head import read_base
from worker.pipeline.publish import publish, publish_interim
from worker.pipeline.run import open_adaptation, run_steps
from worker.progress import ProgressWriter
from worker.settle import Endings, settle, transact

_log = structlog.get_logger(__name__)


def attempt_job(context: WorkerContext, job_id: str) -> None:
    """Claim the job and run it; return at once if it cannot be claimed.

    Args:
        context: connections and state of this process.
        job_id: the job in a message.

    Raises:
        OUTAGES: the database is away for longer than a lease; the reaper will queue the job again.
    """
    lease = transact(context, partial(_claim, context, job_id))
    if lease is None:
        _log.info("nothing_to_do", job_id=job_id)
        return
    bind_job(job_id, attempt=lease.attempt, tenant_id=lease.tenant_id, request_id=lease.request_id)
    try:
        _log.info("claimed", fencing_token=lease.fencing_token)
        facts: dict[str, str | int | None] = {"job_id": job_id, "attempt": lease.attempt, "request_id": lease.request_id}
        with attempt_span(lease.traceparent, **facts) as note:
            endings = Endings(partial(_fail, context, lease), partial(_requeue, context, lease))
            outcome = settle(context, lease, context.metrics.jobs, partial(_run, context, lease), endings)
            note("outcome", outcome)
        if outcome not in (Outcome.REQUEUED, Outcome.LEASE_LOST):
            _clear(context, job_id)
    finally:
        unbind_job()


def _claim(context: WorkerContext, job_id: str, session: Session) -> Lease | None:
    return LeaseRepository(session).claim(job_id, context.holder, context.settings.lease_seconds, context.clock())


def _run(context: WorkerContext, lease: Lease) -> Outcome:
    try:
        _run_pipeline(context, lease)
    except CancelRequestedError:
        _log.info("cancelled")
        transact(context, lambda session: LeaseRepository(session).cancel_by_worker(lease, context.clock()))
        return Outcome.CANCELLED
    return Outcome.SUCCEEDED


def _run_pipeline(context: WorkerContext, lease: Lease) -> None:
    settings = context.settings
    with Heartbeat(
        context.session_factory,
        lease,
        lease_seconds=settings.lease_seconds,
        pause_seconds=settings.heartbeat_seconds,
        stop=context.stop,
        clock=context.clock,
    ) as heartbeat:
        retry = OutageRetry(settings.lease_seconds, heartbeat.check)
        spec = retry.wait_for(lambda: _read_job_spec(context, lease.job_id))
        support_set = retry.wait_for(lambda: fetch_support_set(spec, context.store))
        num_threads = settings.job_threads or usable_cores()
        backbone = context.backbones.get(spec.backbone_id)
        if (key := spec.base_adapter_key) is not None:
            base = retry.wait_for(lambda: read_base(key, context.store))
            # The tower has learnt from what was black and white then, so that is not measured anew.
            shown, bands = show_bands(support_set, spec.bands, base.manifest.bands, settings.limits)
            publish(context, NewHead(backbone, base, shown, settings.limits, num_threads), spec, lease, retry, bands)
        else:
            shown, bands = show_bands(support_set, spec.bands, None, settings.limits)
            adaptation = retry.wait_for(
                lambda: open_adaptation(spec, backbone, shown, context.store, settings.limits, num_threads)
            )
            publish_interim(context, adaptation, spec, lease, retry, bands)
            progress = ProgressWriter(
                context.session_factory, lease, context.clock, time.monotonic, context.metrics.step_seconds.observe
            )
            run_steps(adaptation, spec.job_id, context.store, heartbeat, progress, settings.checkpoint_steps)
            publish(context, adaptation, spec, lease, retry, bands)
        context.metrics.job_seconds.observe((context.clock() - spec.created_at).total_seconds())


def _clear(context: WorkerContext, job_id: str) -> None:
    """Remove what a job has left if it has ended, however: its checkpoint, drafts, and a replaced interim model."""
    try:
        with context.session_factory() as session:
            if JobState(session.get_one(JobRow, job_id).state) not in FINAL_STATES:
                return
            model_ids = models_of(session, [job_id])
        clear_job(context.store, job_id, model_ids)
    except OUTAGES as error:
        _log.warning("left_to_the_reaper", reason=str(error)[:300])


def _read_job_spec(context: WorkerContext, job_id: str) -> JobSpec:
    with context.session_factory() as session:
        return read_job_spec(session, job_id)


def _requeue(context: WorkerContext, lease: Lease, reason: VttError | None) -> None:
    def write(session: Session) -> None:
        if LeaseRepository(session).requeue(lease, context.clock(), reason=reason) == JobState.QUEUED:
            send_after_commit(session, context.queue, FinetuneMessage(lease.job_id))

    transact(context, write)


def _fail(context: WorkerContext, lease: Lease, error: VttError) -> None:
    transact(context, lambda session: LeaseRepository(session).fail(lease, error, context.clock()))
