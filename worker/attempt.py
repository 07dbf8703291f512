"""Make one attempt at a job: claim it, run the pipeline, and write how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
import torch

from app.domain.errors import StaleLeaseError
from app.domain.jobs import JobState
from app.domain.messages import FinetuneMessage
from app.infra.checkpoints import clear_job, models_of
from app.infra.leases import Lease, LeaseRepository
from app.infra.outages import OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.telemetry import bind_job, unbind_job
from app.infra.tracing import attempt_span
from vtt_core.adapter.new_head import NewHead
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext
from worker.failures import crashed, out_of_memory
from worker.heartbeat import CancelRequestedError, Heartbeat, StopRequestedError
from worker.metrics import Outcome
from worker.outage_retry import OutageRetry
from worker.pipeline.fetch import JobSpec, fetch_support_set, read_job_spec, show_bands
from worker.pipeline.new_head import read_base
from worker.pipeline.publish import publish, publish_interim
from worker.pipeline.run import open_adaptation, run_steps
from worker.progress import ProgressWriter

_log = structlog.get_logger(__name__)


def attempt_job(context: WorkerContext, job_id: str) -> None:
    """Claim the job and run it; return at once if it cannot be claimed.

    Args:
        context: connections and state of this process.
        job_id: the job in a message.

    Raises:
        OUTAGES: the database is away for longer than a lease; the reaper will queue the job again.
    """
    lease = _retry(context).wait_for(lambda: _claim(context, job_id))
    if lease is None:
        _log.info("nothing_to_do", job_id=job_id)
        return
    bind_job(job_id, attempt=lease.attempt, tenant_id=lease.tenant_id, request_id=lease.request_id)
    context.job_ids.append(job_id)
    try:
        _log.info("claimed", fencing_token=lease.fencing_token)
        facts: dict[str, str | int | None] = {"job_id": job_id, "attempt": lease.attempt, "request_id": lease.request_id}
        with context.metrics.attempt() as attempt, attempt_span(lease.traceparent, **facts) as note:
            try:
                attempt.outcome = _run_and_settle(context, lease)
            except StaleLeaseError:
                attempt.outcome = Outcome.LEASE_LOST
                _log.warning("lease_lost")
            note("outcome", attempt.outcome)
    finally:
        context.job_ids.remove(job_id)
        unbind_job()


def _claim(context: WorkerContext, job_id: str) -> Lease | None:
    with context.session_factory.begin() as session:
        return LeaseRepository(session).claim(job_id, context.holder, context.settings.lease_seconds, context.clock())


def _run_and_settle(context: WorkerContext, lease: Lease) -> Outcome:
    """Run the pipeline and write its outcome; this is the only place where errors become states."""
    outcome = Outcome.SUCCEEDED
    try:
        _run_pipeline(context, lease)
    except StaleLeaseError:
        raise
    except CancelRequestedError:
        outcome = Outcome.CANCELLED
        _log.info("cancelled")
        _settle(context, lambda leases: leases.cancel_by_worker(lease, context.clock()))
    except StopRequestedError:
        _log.info("handed_back")
        _requeue(context, lease, None)
        return Outcome.REQUEUED
    except OUTAGES as error:
        # The job did not cause the outage, and another worker may not have it: the attempt does not count.
        _log.warning("handed_back_in_an_outage", reason=str(error)[:300])
        _requeue(context, lease, None)
        return Outcome.REQUEUED
    except VttError as error:
        outcome = Outcome.FAILED
        _log.warning("failed", code=error.code, reason=str(error))
        facts = error
        _settle(context, lambda leases: leases.fail(lease, facts, context.clock()))
    except (MemoryError, torch.OutOfMemoryError) as error:
        outcome = Outcome.CRASHED
        _log.exception("out_of_memory")
        if _requeue(context, lease, out_of_memory(error, context.backbones.device)) == JobState.QUEUED:
            return outcome
    except Exception as error:
        outcome = Outcome.CRASHED
        _log.exception("crashed")
        if _requeue(context, lease, crashed(error)) == JobState.QUEUED:
            return outcome
    _clear(context, lease.job_id)
    return outcome


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
        backbone = context.backbones.get(spec.backbone_id)
        if (key := spec.base_adapter_key) is not None:
            base = retry.wait_for(lambda: read_base(key, context.store))
            # The tower has learnt from what was black and white then, so that is not measured anew.
            shown, bands = show_bands(support_set, spec.bands, base.manifest.bands, settings.limits)
            publish(context, NewHead(backbone, base, shown, settings.limits), spec, lease, retry, bands)
        else:
            shown, bands = show_bands(support_set, spec.bands, None, settings.limits)
            adaptation = retry.wait_for(lambda: open_adaptation(spec, backbone, shown, context.store, settings.limits))
            publish_interim(context, adaptation, spec, lease, retry, bands)
            progress = ProgressWriter(
                context.session_factory, lease, context.clock, time.monotonic, context.metrics.step_seconds.observe
            )
            run_steps(adaptation, spec.job_id, context.store, heartbeat, progress, settings.checkpoint_steps)
            publish(context, adaptation, spec, lease, retry, bands)
        context.metrics.job_seconds.observe((context.clock() - spec.created_at).total_seconds())


def _clear(context: WorkerContext, job_id: str) -> None:
    """Remove what a job has left that has ended, however it ended: its checkpoint, drafts, and a replaced interim model."""
    try:
        with context.session_factory() as session:
            model_ids = models_of(session, [job_id])
        clear_job(context.store, job_id, model_ids)
    except OUTAGES as error:
        _log.warning("left_to_the_reaper", reason=str(error)[:300])


def _read_job_spec(context: WorkerContext, job_id: str) -> JobSpec:
    with context.session_factory() as session:
        return read_job_spec(session, job_id)


def _requeue(context: WorkerContext, lease: Lease, reason: VttError | None) -> JobState:
    def write() -> JobState:
        with context.session_factory.begin() as session:
            state = LeaseRepository(session).requeue(lease, context.clock(), reason=reason)
            if state == JobState.QUEUED:
                send_after_commit(session, context.queue, FinetuneMessage(lease.job_id))
            return state

    return _retry(context).wait_for(write)


def _settle(context: WorkerContext, write: Callable[[LeaseRepository], None]) -> None:
    def write_once() -> None:
        with context.session_factory.begin() as session:
            write(LeaseRepository(session))

    _retry(context).wait_for(write_once)


def _retry(context: WorkerContext) -> OutageRetry:
    """Return how to retry writes outside the pipeline: for the time of a lease, after which the reaper takes the job."""
    return OutageRetry(context.settings.lease_seconds, lambda: None)
