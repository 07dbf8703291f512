"""Predict the next chunk of a batch: claim it, predict, write the results, and say that there is more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
import torch

from app.domain.batches import REFUSED, BatchState
from app.domain.errors import RateLimitedError, StaleLeaseError
from app.domain.messages import BatchMessage
from app.infra.access_repository import predictions_per_minute
from app.infra.band_columns import choice_of
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.batch_leases import BatchLease, BatchLeases
from app.infra.model_repository import ModelRepository
from app.infra.outages import OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.prediction_repository import KeptPrediction, PredictionRepository
from app.infra.tables import BatchRow, ModelRow
from vtt_core.contract.errors import VttError
from vtt_core.contract.serving import AnswerOptions
from worker.chunk import ChunkModel, predict_chunk, to_keep
from worker.context import WorkerContext
from worker.failures import crashed, out_of_memory
from worker.heartbeat import Heartbeat, StopRequestedError
from worker.outage_retry import OutageRetry

_log = structlog.get_logger(__name__)
ADAPTER_FILES = ("manifest.json", "adapter.safetensors")


@dataclass(frozen=True)
class _Task:
    """What a chunk needs, as read from the rows."""

    batch: BatchRow
    model: ModelRow
    per_minute: int | None
    """The tenant's quota of predictions."""


def run_batch_chunk(context: WorkerContext, batch_id: str) -> None:
    """Claim a batch and predict its next chunk; return at once if it cannot be claimed.

    Args:
        context: connections and state of this process.
        batch_id: the batch in a message.

    Raises:
        OUTAGES: the database is away for longer than a lease; the reaper will send the batch again.
    """
    lease = _retry(context).wait_for(lambda: _claim(context, batch_id))
    if lease is None:
        _log.info("nothing_to_predict", batch_id=batch_id)
        return
    context.job_ids.append(batch_id)
    try:
        with suppress(StaleLeaseError):
            _run_and_settle(context, lease)
            return
        _log.warning("batch_lost", batch_id=batch_id, chunk=lease.chunk)
        _retry(context).wait_for(lambda: _note_lost(context, batch_id))
    finally:
        context.job_ids.remove(batch_id)


def _run_and_settle(context: WorkerContext, lease: BatchLease) -> None:
    """Predict a chunk; this is the only place where errors become states of a batch."""
    try:
        _run(context, lease)
    except StaleLeaseError:
        raise
    except RateLimitedError as error:
        _log.info("batch_waits", batch_id=lease.batch_id, seconds=error.retry_after_seconds)
        _give_back(context, lease, wait_seconds=float(error.retry_after_seconds))
    except StopRequestedError:
        _give_back(context, lease)
    except OUTAGES as error:
        _log.warning("batch_given_back_in_an_outage", batch_id=lease.batch_id, reason=str(error)[:300])
        _give_back(context, lease)
    except VttError as error:
        _log.warning("batch_failed", batch_id=lease.batch_id, code=error.code, reason=str(error))
        _fail(context, lease, error)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _log.exception("out_of_memory", batch_id=lease.batch_id)
        _give_back(context, lease, reason=out_of_memory(error, context.backbones.device))
    except Exception as error:
        _log.exception("chunk_crashed", batch_id=lease.batch_id, chunk=lease.chunk)
        _give_back(context, lease, reason=crashed(error))


def _run(context: WorkerContext, lease: BatchLease) -> None:
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
        task = retry.wait_for(lambda: _read_task(context, lease))
        blobs = BatchBlobs(context.store, task.batch.blob_key)
        images = retry.wait_for(lambda: blobs.images(lease.chunk))
        _count(context, task, len(images))
        results = predict_chunk(_open_model(context, task, retry), images, heartbeat.check)
        retry.wait_for(lambda: blobs.put_results(lease.chunk, results))
    is_over = _retry(context).wait_for(lambda: _finish(context, lease, task, images, results))
    _log.info("chunk_predicted", batch_id=lease.batch_id, chunk=lease.chunk, num_images=len(images))
    with suppress(*OUTAGES):  # the reaper removes what stays
        blobs.delete_images(lease.chunk)
        if is_over:
            blobs.clear(keeps_results=True)
            _note_cleared(context, lease.batch_id)


def _open_model(context: WorkerContext, task: _Task, retry: OutageRetry) -> ChunkModel:
    settings, model = context.settings, task.model
    backbone = context.backbones.get(model.backbone_id)
    keys = {name: f"{model.adapter_key}/{name}" for name in ADAPTER_FILES}

    def load_files() -> dict[str, bytes]:
        blobs = retry.wait_for(lambda: context.store.get_many(keys.values()))
        return {name: blobs[key] for name, key in keys.items()}

    adapter = context.adapters.get(model.id, backbone, load_files, settings.adapter_precision)
    options = AnswerOptions(task.batch.coverage, task.batch.false_rejects)
    return ChunkModel(backbone, adapter, options, choice_of(model), settings.limits, settings.batch_max_images)


def _count(context: WorkerContext, task: _Task, num_images: int) -> None:
    """Count the images of a chunk as predictions of this minute.

    Raises:
        RateLimitedError: the tenant has had all of this minute.
    """
    if task.per_minute is not None and context.rates is not None:
        # A chunk that is larger than the quota takes a whole minute's.
        context.rates.count("query images", task.batch.tenant_id, task.per_minute, min(num_images, task.per_minute))


def _claim(context: WorkerContext, batch_id: str) -> BatchLease | None:
    with context.session_factory.begin() as session:
        return BatchLeases(session).claim(batch_id, context.holder, context.settings.lease_seconds, context.clock())


def _read_task(context: WorkerContext, lease: BatchLease) -> _Task:
    with context.session_factory() as session:
        batch = session.get_one(BatchRow, lease.batch_id)
        model = ModelRepository(session).get(batch.model_id)
        return _Task(batch, model, predictions_per_minute(session, batch.tenant_id))


def _finish(
    context: WorkerContext, lease: BatchLease, task: _Task, images: list[SentImage], results: list[dict[str, Any]]
) -> bool:
    """Write that a chunk has its results; return whether it was the last one."""
    now = context.clock()
    kept: list[KeptPrediction] = to_keep(images, results) if context.settings.prediction_retention_days else []
    num_refused = sum(result["status"] == REFUSED for result in results)
    with context.session_factory.begin() as session:
        row = BatchLeases(session).finish_chunk(lease, len(results), num_refused, now)
        owner = {"request_id": lease.request_id, "tenant_id": lease.tenant_id}
        PredictionRepository(session).add(kept, task.model.id, now, **owner)
        is_over = BatchState(row.state).is_final
        if not is_over:
            send_after_commit(session, context.queue, BatchMessage(lease.batch_id))
        return is_over


def _give_back(context: WorkerContext, lease: BatchLease, *, reason: VttError | None = None, wait_seconds: float = 0.0) -> None:
    def write() -> None:
        with context.session_factory.begin() as session:
            state = BatchLeases(session).give_back(lease, context.clock(), reason=reason, wait_seconds=wait_seconds)
            if state == BatchState.RUNNING and not wait_seconds:
                send_after_commit(session, context.queue, BatchMessage(lease.batch_id))

    _retry(context).wait_for(write)


def _fail(context: WorkerContext, lease: BatchLease, error: VttError) -> None:
    def write() -> None:
        with context.session_factory.begin() as session:
            BatchLeases(session).fail(lease, error, context.clock())

    _retry(context).wait_for(write)


def _note_lost(context: WorkerContext, batch_id: str) -> None:
    with context.session_factory.begin() as session:
        BatchLeases(session).note_lost(batch_id)


def _note_cleared(context: WorkerContext, batch_id: str) -> None:
    with context.session_factory.begin() as session:
        BatchLeases(session).note_cleared(batch_id, was_deleted=False)


def _retry(context: WorkerContext) -> OutageRetry:
    """Return how to retry writes outside the heartbeat: for the time of a lease, after which the reaper takes the batch."""
    return OutageRetry(context.settings.lease_seconds, lambda: None)
