"""Predict the next chunk of a batch: claim it, predict, write the results, and say that there is more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.domain.batches import REFUSED, BatchState
from app.domain.errors import RateLimitedError
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
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import VttError
from vtt_core.contract.serving import AnswerOptions
from worker.chunk import ChunkModel, predict_chunk, to_keep
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.metrics import Outcome
from worker.outage_retry import OutageRetry
from worker.settle import Endings, settle, transact

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
    lease = transact(context, partial(_claim, context, batch_id))
    if lease is None:
        _log.info("nothing_to_predict", batch_id=batch_id)
        return
    with structlog.contextvars.bound_contextvars(batch_id=batch_id, chunk=lease.chunk):
        endings = Endings(partial(_fail, context, lease), partial(_give_back, context, lease))
        outcome = settle(context, lease, context.metrics.chunks, partial(_run_within_quota, context, lease), endings)
        if outcome is Outcome.LEASE_LOST:
            transact(context, lambda session: BatchLeases(session).note_lost(batch_id))


def _run_within_quota(context: WorkerContext, lease: BatchLease) -> Outcome:
    try:
        _run(context, lease)
    except RateLimitedError as error:
        _log.info("batch_waits", seconds=error.retry_after_seconds)
        _give_back(context, lease, None, wait_seconds=float(error.retry_after_seconds))
        return Outcome.REQUEUED
    return Outcome.SUCCEEDED


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
    is_over = transact(context, partial(_finish, context, lease, task, images, results))
    if is_over:
        context.metrics.batch_seconds.observe((context.clock() - task.batch.created_at).total_seconds())
    _log.info("chunk_predicted", num_images=len(images))
    with suppress(*OUTAGES):  # the reaper removes what stays
        blobs.delete_images(lease.chunk)
        if is_over:
            blobs.clear(keeps_results=True)
            _note_cleared(context, lease.batch_id)


def _open_model(context: WorkerContext, task: _Task, retry: OutageRetry) -> ChunkModel:
    settings, model = context.settings, task.model
    reader = context.backbones.reader(model.backbone_id)
    keys = {name: f"{model.adapter_key}/{name}" for name in ADAPTER_FILES}

    def load_files() -> dict[str, bytes]:
        blobs = retry.wait_for(lambda: context.store.get_many(keys.values()))
        return {name: blobs[key] for name, key in keys.items()}

    adapter = context.adapters.get(model.id, reader.backbone, load_files, settings.adapter_precision)
    return ChunkModel(
        reader=reader,
        adapter=adapter,
        options=AnswerOptions(task.batch.coverage, task.batch.false_rejects),
        bands=choice_of(model),
        limits=settings.limits,
        max_images=settings.batch_max_images,
        num_threads=settings.job_threads or usable_cores(),
    )


def _count(context: WorkerContext, task: _Task, num_images: int) -> None:
    """Count the images of a chunk as predictions of this minute.

    Raises:
        RateLimitedError: the tenant has had all of this minute.
    """
    if task.per_minute is not None and context.rates is not None:
        # A chunk that is larger than the quota takes a whole minute's.
        context.rates.count("query images", task.batch.tenant_id, task.per_minute, min(num_images, task.per_minute))


def _claim(context: WorkerContext, batch_id: str, session: Session) -> BatchLease | None:
    return BatchLeases(session).claim(batch_id, context.holder, context.settings.lease_seconds, context.clock())


def _read_task(context: WorkerContext, lease: BatchLease) -> _Task:
    with context.session_factory() as session:
        batch = session.get_one(BatchRow, lease.batch_id)
        model = ModelRepository(session).get(batch.model_id)
        return _Task(batch, model, predictions_per_minute(session, batch.tenant_id))


def _finish(
    context: WorkerContext,
    lease: BatchLease,
    task: _Task,
    images: list[SentImage],
    results: list[dict[str, Any]],
    session: Session,
) -> bool:
    """Write that a chunk has its results; return whether it was the last one."""
    now = context.clock()
    kept: list[KeptPrediction] = to_keep(images, results) if context.settings.prediction_retention_days else []
    num_refused = sum(result["status"] == REFUSED for result in results)
    row = BatchLeases(session).finish_chunk(lease, len(results), num_refused, now)
    owner = {"request_id": lease.request_id, "tenant_id": lease.tenant_id}
    PredictionRepository(session).add(kept, task.model.id, now, **owner)
    is_over = BatchState(row.state).is_final
    if not is_over:
        send_after_commit(session, context.queue, BatchMessage(lease.batch_id))
    return is_over


def _give_back(context: WorkerContext, lease: BatchLease, reason: VttError | None, *, wait_seconds: float = 0.0) -> None:
    def write(session: Session) -> None:
        state = BatchLeases(session).give_back(lease, context.clock(), reason=reason, wait_seconds=wait_seconds)
        if state == BatchState.RUNNING and not wait_seconds:
            send_after_commit(session, context.queue, BatchMessage(lease.batch_id))

    transact(context, write)


def _fail(context: WorkerContext, lease: BatchLease, error: VttError) -> None:
    transact(context, lambda session: BatchLeases(session).fail(lease, error, context.clock()))


def _note_cleared(context: WorkerContext, batch_id: str) -> None:
    with context.session_factory.begin() as session:
        BatchLeases(session).note_cleared(batch_id, was_deleted=False)
