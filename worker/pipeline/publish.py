"""Verify and publish the adapter of a finished run, and the interim one before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import structlog
from sqlalchemy import select

from app.domain.access import blob_folder
from app.domain.errors import StaleLeaseError
from app.domain.ids import MODEL_PREFIX, new_id
from app.domain.jobs import JobState
from app.infra.checkpoints import note_draft
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.tables import ModelRow
from vtt_core.adapter.adaptation import Adaptation, Adapted
from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import with_bands
from vtt_core.adapter.support_features import SupportFeatures
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.manifest import AdapterManifest
from worker.context import WorkerContext
from worker.outage_retry import OutageRetry
from worker.pipeline.fetch import JobSpec

_log = structlog.get_logger(__name__)


class Run(Protocol):
    """What has an adapter at its end."""

    backbone: Backbone

    @property
    def support(self) -> SupportFeatures:
        """The images that it learns from."""

    def finish(self) -> Adapted:
        """Return the adapter."""


def publish(
    context: WorkerContext, run: Run, spec: JobSpec, lease: Lease, retry: OutageRetry, bands: BandChoice | None = None
) -> str:
    """Verify the adapter, store its files, then end the job and add its model row in one transaction.

    Args:
        context: connections and state of this process.
        run: what has the adapter.
        spec: of the job.
        lease: on it.
        retry: waits for what is away.
        bands: how the images were shown; None for ordinary images.

    Returns:
        The model's id.

    Raises:
        StaleLeaseError: another worker has the job, or it has ended; nothing is published.
        CancelRequestedError: the user cancelled it.
        OUTAGES: database or store is away for longer than `retry` lasts. The transaction may still have been committed.
    """
    retry.wait_for(lambda: _begin_verifying(context, lease))
    columns = _store(context, run, _in_bands(run.finish(), bands), spec, retry)
    _add_row(context, columns, retry, LeaseRepository.succeed, lease)
    _log.info("published", model_id=columns["id"], adapter_bytes=columns["adapter_bytes"])
    return str(columns["id"])


def publish_interim(
    context: WorkerContext,
    adaptation: Adaptation,
    spec: JobSpec,
    lease: Lease,
    retry: OutageRetry,
    bands: BandChoice | None = None,
) -> None:
    """Publish what can be served while a fine-tuning runs, unless an attempt has done so; raises as `publish`."""
    if retry.wait_for(lambda: _has_interim(context, spec.job_id)) or (adapted := adaptation.interim()) is None:
        return
    columns = _store(context, adaptation, _in_bands(adapted, bands), spec, retry) | {"is_interim": True}
    _add_row(context, columns, retry, LeaseRepository.publish_interim, lease)
    _log.info("published_interim", model_id=columns["id"], adapter_bytes=columns["adapter_bytes"])


def _in_bands(adapted: Adapted, bands: BandChoice | None) -> Adapted:
    return adapted if bands is None else replace(adapted, adapter=with_bands(adapted.adapter, bands))


def _store(context: WorkerContext, run: Run, adapted: Adapted, spec: JobSpec, retry: OutageRetry) -> dict[str, Any]:
    """Verify an adapter and store its files; return the columns of its model row."""
    files = adapter_to_files(adapted.adapter)
    verify(run.backbone, adapted, files, run.support.small)
    retry.check()
    model_id = new_id(MODEL_PREFIX)
    adapter_key = f"{blob_folder(spec.tenant_id)}models/{model_id}"
    retry.wait_for(lambda: note_draft(context.store, spec.job_id, model_id, adapter_key))
    for name, content in files.items():
        retry.wait_for(partial(context.store.put, f"{adapter_key}/{name}", content))
    return {
        **_columns_of(spec, adapted.adapter.manifest),
        "id": model_id,
        "metrics": adapted.metrics,
        "adapter_key": adapter_key,
        "adapter_bytes": sum(map(len, files.values())),
    }


def _add_row(
    context: WorkerContext,
    columns: Mapping[str, Any],
    retry: OutageRetry,
    write: Callable[[LeaseRepository, Lease, ModelRow, datetime], None],
    lease: Lease,
) -> None:
    """Add the model row by a write of the lease's holder; without a row, leave no files."""

    def write_once() -> None:
        with context.session_factory.begin() as session:
            if session.get(ModelRow, columns["id"]) is None:
                now = context.clock()
                write(LeaseRepository(session), lease, ModelRow(**columns, created_at=now), now)

    try:
        retry.wait_for(write_once)
    except StaleLeaseError:
        # Our own commit ends the lease too, and its answer may have got lost. If the database cannot be asked, the files stay.
        if not _is_published(context, columns["id"]):
            context.store.delete_prefix(columns["adapter_key"])
            raise


def _columns_of(spec: JobSpec, manifest: AdapterManifest) -> dict[str, Any]:
    """Return the columns of a model row that are known before the adapter is stored."""
    return {
        "tenant_id": spec.tenant_id,
        "job_id": spec.job_id,
        "name": spec.name,
        "backbone_id": spec.backbone_id,
        "backbone_sha256": manifest.backbone_sha256,
        "labels": list(manifest.labels),
        "recipe": manifest.recipe,
        "bands": None if manifest.bands is None else manifest.bands.to_json(),
    }


def _begin_verifying(context: WorkerContext, lease: Lease) -> None:
    with context.session_factory.begin() as session:
        row = JobRepository(session).get(lease.job_id)
        # A first try may have succeeded although its answer got lost.
        if (row.state, row.fencing_token) != (JobState.VERIFYING, lease.fencing_token):
            LeaseRepository(session).begin_verifying(lease, context.clock())


def _has_interim(context: WorkerContext, job_id: str) -> bool:
    """Tell whether an attempt has published the interim model, also if its owner has deleted it since."""
    with context.session_factory() as session:
        return session.scalar(select(ModelRow.id).where(ModelRow.job_id == job_id, ModelRow.is_interim)) is not None


def _is_published(context: WorkerContext, model_id: str) -> bool:
    with context.session_factory() as session:
        return session.get(ModelRow, model_id) is not None
