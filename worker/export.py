"""Make one attempt at an export: claim it, write and verify its files, store them, and write how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from PIL.Image import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import BlobMissingError, DiskFullError
from app.domain.messages import ExportMessage
from app.infra.band_columns import choice_of
from app.infra.export_leases import ExportLease, ExportLeases
from app.infra.model_repository import ModelRepository
from app.infra.outbox import send_after_commit
from app.infra.tables import ExportRow, JobRow, SupportImageRow
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.exports import ExportKind
from vtt_core.exports.export import export_model
from vtt_core.exports.source import METRICS_FILE
from vtt_core.ingest.decode import decode_image
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.metrics import Outcome
from worker.outage_retry import OutageRetry
from worker.scratch import scratch_folder
from worker.settle import Endings, settle, transact

_log = structlog.get_logger(__name__)
MOST_IMAGES = 64
"""Images of the support set that an export is compared on."""


@dataclass(frozen=True)
class _Task:
    """What an export needs, as read from the rows."""

    kind: ExportKind
    adapter_key: str
    blob_key: str
    metrics: dict[str, Any]
    """Of the model; its card tells them."""
    image_keys: tuple[str, ...]
    """Where some images of its support set are, to compare on; none if the set was deleted."""
    bands: BandChoice | None
    """How they are shown."""
    asked_at: datetime
    """When it was asked for first."""


def run_export(context: WorkerContext, export_id: str) -> None:
    """Claim an export and make it; return at once if it cannot be claimed.

    Args:
        context: connections and state of this process.
        export_id: the export in a message.

    Raises:
        OUTAGES: the database is away for longer than a lease; the reaper will send the export again.
    """
    lease = transact(context, partial(_claim, context, export_id))
    if lease is None:
        _log.info("nothing_to_export", export_id=export_id)
        return
    with structlog.contextvars.bound_contextvars(export_id=export_id):
        endings = Endings(partial(_fail, context, lease), partial(_give_back, context, lease), counts_full_disk=True)
        settle(context, lease, context.metrics.exports, partial(_run, context, lease), endings)


def _run(context: WorkerContext, lease: ExportLease) -> Outcome:
    settings = context.settings
    with (
        Heartbeat(
            context.session_factory,
            lease,
            lease_seconds=settings.lease_seconds,
            pause_seconds=settings.heartbeat_seconds,
            stop=context.stop,
            clock=context.clock,
        ) as heartbeat,
        scratch_folder("vtt-export-") as scratch,
    ):
        retry = OutageRetry(settings.lease_seconds, heartbeat.check)
        task = retry.wait_for(lambda: _read_task(context, lease))
        adapter, made = scratch / "adapter", scratch / task.kind
        adapter.mkdir()
        for name in (MANIFEST_FILE, TENSORS_FILE):
            content = retry.wait_for(partial(context.store.get, f"{task.adapter_key}/{name}"))
            (adapter / name).write_bytes(content)
        (adapter / METRICS_FILE).write_text(json.dumps({"metrics": task.metrics}), encoding="utf-8")
        images = retry.wait_for(lambda: _read_images(context, task))
        report = export_model(
            adapter, task.kind, made, images=images or None, stopwatch=time.monotonic, backbone_of=_backbone_of(context)
        )
        retry.check()
        _store(context, task.blob_key, made, report.files, retry)
    facts, size = report.to_json(), report.size_bytes
    transact(context, lambda session: ExportLeases(session).succeed(lease, facts, size, context.clock()))
    context.metrics.export_seconds.observe((context.clock() - task.asked_at).total_seconds())
    _log.info("exported", kind=task.kind, size_bytes=size)
    return Outcome.SUCCEEDED


def _store(context: WorkerContext, blob_key: str, made: Path, names: Iterable[str], retry: OutageRetry) -> None:
    """Put the files into the store; where they do not fit, take out those that were put."""
    try:
        for name in names:
            content = (made / name).read_bytes()
            retry.wait_for(partial(context.store.put, f"{blob_key}/{name}", content))
    except DiskFullError:
        context.store.delete_prefix(blob_key)
        raise


def _backbone_of(context: WorkerContext) -> Callable[[str], Backbone]:
    """Return where an export gets its backbone: in the worker's memory, or beside it on a processor if that is on a GPU.

    The other libraries run on the processor, and both sides are to round alike.
    """
    return context.backbones.get if context.backbones.device == "cpu" else load_backbone


def _claim(context: WorkerContext, export_id: str, session: Session) -> ExportLease | None:
    return ExportLeases(session).claim(export_id, context.holder, context.settings.lease_seconds, context.clock())


def _read_task(context: WorkerContext, lease: ExportLease) -> _Task:
    with context.session_factory() as session:
        row = session.get_one(ExportRow, lease.export_id)
        model = ModelRepository(session).get(row.model_id)
        set_id = select(JobRow.support_set_id).where(JobRow.id == model.job_id).scalar_subquery()
        keys = select(SupportImageRow.blob_key).where(SupportImageRow.support_set_id == set_id).order_by(SupportImageRow.id)
        images = session.scalars(keys.limit(MOST_IMAGES)).all()
        return _Task(
            ExportKind(row.kind),
            model.adapter_key,
            row.blob_key,
            model.metrics,
            tuple(images),
            choice_of(model),
            row.created_at,
        )


def _read_images(context: WorkerContext, task: _Task) -> list[Image]:
    """Return the images to compare on; those of a set that is deleted in this moment are left out."""
    try:
        blobs = context.store.get_many(task.image_keys)
    except BlobMissingError:
        return []
    return [decode_image(blobs[key], context.settings.limits, task.bands) for key in task.image_keys]


def _give_back(context: WorkerContext, lease: ExportLease, reason: VttError | None) -> None:
    def write(session: Session) -> None:
        if ExportLeases(session).give_back(lease, context.clock(), reason):
            send_after_commit(session, context.queue, ExportMessage(lease.export_id))

    transact(context, write)


def _fail(context: WorkerContext, lease: ExportLease, error: VttError) -> None:
    transact(context, lambda session: ExportLeases(session).fail(lease, error, context.clock()))
