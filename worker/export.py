"""Make one attempt at an export: claim it, write and verify its files, store them, and write how it ended."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import torch
from PIL.Image import Image
from sqlalchemy import select

from app.domain.errors import BlobMissingError, StaleLeaseError
from app.domain.messages import ExportMessage
from app.infra.band_columns import choice_of
from app.infra.export_leases import ExportLease, ExportLeases
from app.infra.model_repository import ModelRepository
from app.infra.outages import OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.tables import ExportRow, JobRow, SupportImageRow
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.exports import ExportKind
from vtt_core.exports.export import export_model
from vtt_core.exports.source import METRICS_FILE
from vtt_core.ingest.decode import decode_image
from worker.context import WorkerContext
from worker.failures import crashed, out_of_memory
from worker.heartbeat import Heartbeat, StopRequestedError
from worker.outage_retry import OutageRetry

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


def run_export(context: WorkerContext, export_id: str) -> None:
    """Claim an export and make it; return at once if it cannot be claimed.

    Args:
        context: connections and state of this process.
        export_id: the export in a message.

    Raises:
        OUTAGES: the database is away for longer than a lease; the reaper will send the export again.
    """
    lease = _retry(context).wait_for(lambda: _claim(context, export_id))
    if lease is None:
        _log.info("nothing_to_export", export_id=export_id)
        return
    context.job_ids.append(export_id)
    try:
        _run_and_settle(context, lease)
    except StaleLeaseError:
        _log.warning("export_lost", export_id=export_id)
    finally:
        context.job_ids.remove(export_id)


def _run_and_settle(context: WorkerContext, lease: ExportLease) -> None:
    """Make the export; this is the only place where errors become states of an export."""
    try:
        _run(context, lease)
    except StaleLeaseError:
        raise
    except StopRequestedError:
        _give_back(context, lease)
    except OUTAGES as error:
        _log.warning("export_given_back_in_an_outage", export_id=lease.export_id, reason=str(error)[:300])
        _give_back(context, lease)
    except VttError as error:
        _log.warning("export_failed", export_id=lease.export_id, code=error.code, reason=str(error))
        facts = error
        _settle(context, lambda exports: exports.fail(lease, facts, context.clock()))
    except (MemoryError, torch.OutOfMemoryError) as error:
        _log.exception("out_of_memory", export_id=lease.export_id)
        _give_back(context, lease, out_of_memory(error, context.backbones.device))
    except Exception as error:
        _log.exception("export_crashed", export_id=lease.export_id)
        _give_back(context, lease, crashed(error))


def _run(context: WorkerContext, lease: ExportLease) -> None:
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
        tempfile.TemporaryDirectory(prefix="vtt-export-") as scratch,
    ):
        retry = OutageRetry(settings.lease_seconds, heartbeat.check)
        task = retry.wait_for(lambda: _read_task(context, lease))
        adapter, made = Path(scratch) / "adapter", Path(scratch) / task.kind
        adapter.mkdir()
        for name in (MANIFEST_FILE, TENSORS_FILE):
            content = retry.wait_for(partial(context.store.get, f"{task.adapter_key}/{name}"))
            (adapter / name).write_bytes(content)
        (adapter / METRICS_FILE).write_text(json.dumps({"metrics": task.metrics}), encoding="utf-8")
        images = retry.wait_for(lambda: _read_images(context, task))
        report = export_model(adapter, task.kind, made, images=images or None, stopwatch=time.monotonic)
        retry.check()
        for name in report.files:
            content = (made / name).read_bytes()
            retry.wait_for(partial(context.store.put, f"{task.blob_key}/{name}", content))
    _settle(context, lambda exports: exports.succeed(lease, report.to_json(), report.size_bytes, context.clock()))
    _log.info("exported", export_id=lease.export_id, kind=task.kind, size_bytes=report.size_bytes)


def _claim(context: WorkerContext, export_id: str) -> ExportLease | None:
    with context.session_factory.begin() as session:
        return ExportLeases(session).claim(export_id, context.holder, context.settings.lease_seconds, context.clock())


def _read_task(context: WorkerContext, lease: ExportLease) -> _Task:
    with context.session_factory() as session:
        row = session.get_one(ExportRow, lease.export_id)
        model = ModelRepository(session).get(row.model_id)
        set_id = select(JobRow.support_set_id).where(JobRow.id == model.job_id).scalar_subquery()
        keys = select(SupportImageRow.blob_key).where(SupportImageRow.support_set_id == set_id).order_by(SupportImageRow.id)
        images = session.scalars(keys.limit(MOST_IMAGES)).all()
        return _Task(ExportKind(row.kind), model.adapter_key, row.blob_key, model.metrics, tuple(images), choice_of(model))


def _read_images(context: WorkerContext, task: _Task) -> list[Image]:
    """Return the images to compare on; those of a set that is deleted in this moment are left out."""
    try:
        blobs = context.store.get_many(task.image_keys)
    except BlobMissingError:
        return []
    return [decode_image(blobs[key], context.settings.limits, task.bands) for key in task.image_keys]


def _give_back(context: WorkerContext, lease: ExportLease, reason: VttError | None = None) -> None:
    def write() -> None:
        with context.session_factory.begin() as session:
            if ExportLeases(session).give_back(lease, context.clock(), reason):
                send_after_commit(session, context.queue, ExportMessage(lease.export_id))

    _retry(context).wait_for(write)


def _settle(context: WorkerContext, write: Callable[[ExportLeases], None]) -> None:
    def write_once() -> None:
        with context.session_factory.begin() as session:
            write(ExportLeases(session))

    _retry(context).wait_for(write_once)


def _retry(context: WorkerContext) -> OutageRetry:
    """Return how to retry writes outside the heartbeat: for the time of a lease, after which the reaper takes the export."""
    return OutageRetry(context.settings.lease_seconds, lambda: None)
