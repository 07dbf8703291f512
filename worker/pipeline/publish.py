"""Strip, verify and publish what a fine-tuning has learnt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from app.domain.access import blob_folder
from app.domain.errors import StaleLeaseError
from app.domain.ids import MODEL_PREFIX, new_id
from app.domain.jobs import JobState
from app.infra.checkpoints import note_draft
from app.infra.database import SessionFactory
from app.infra.jobs import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import ModelRow
from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.adapter.verify import verify
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.finetune import Finetune
from worker.outage_retry import OutageRetry
from worker.pipeline.fetch import JobSpec

_log = structlog.get_logger(__name__)


def publish(
    finetune: Finetune,
    support_set: SupportSet,
    spec: JobSpec,
    *,
    lease: Lease,
    patience: OutageRetry,
    session_factory: SessionFactory,
    store: ObjectStore,
    clock: Callable[[], datetime],
) -> str:
    """Verify the adapter, put its files, and end the job with its model row in one transaction.

    Returns:
        The model's id.

    Raises:
        StaleLeaseError: another worker has the job, or it has ended; nothing is published.
        CancelRequestedError: the user cancelled it.
        OUTAGES: database or store is away for longer than the patience lasts. The commit may have arrived.
    """
    patience.wait_for(lambda: _begin_verifying(lease, session_factory, clock()))
    adapter = strip(finetune)
    files = adapter_to_files(adapter)
    metrics = verify(finetune.backbone, finetune, files, support_set)
    patience.check()
    model_id = new_id(MODEL_PREFIX)
    adapter_key = f"{blob_folder(spec.tenant_id)}models/{model_id}"
    patience.wait_for(lambda: note_draft(store, spec.job_id, model_id, adapter_key))
    for name, content in files.items():
        patience.wait_for(partial(store.put, f"{adapter_key}/{name}", content))

    def make_row() -> ModelRow:
        return ModelRow(
            id=model_id,
            tenant_id=spec.tenant_id,
            job_id=spec.job_id,
            name=spec.name,
            backbone_id=spec.backbone_id,
            backbone_sha256=adapter.manifest.backbone_sha256,
            labels=list(adapter.manifest.labels),
            recipe=spec.recipe.to_json(),
            metrics=metrics,
            adapter_key=adapter_key,
            adapter_bytes=sum(map(len, files.values())),
            created_at=clock(),
        )

    try:
        patience.wait_for(lambda: _succeed(lease, make_row(), session_factory, clock()))
    except StaleLeaseError:
        # A commit whose answer got lost ends the lease as well. Where it cannot be asked, the files stay.
        if not _is_published(model_id, session_factory):
            store.delete_prefix(adapter_key)
            raise
    _log.info("published", model_id=model_id, adapter_bytes=sum(map(len, files.values())))
    return model_id


def _begin_verifying(lease: Lease, session_factory: SessionFactory, now: datetime) -> None:
    with session_factory.begin() as session:
        row = JobRepository(session).get(lease.job_id)
        # Done already, where the answer of a first try got lost.
        if (row.state, row.fencing_token) != (JobState.VERIFYING, lease.fencing_token):
            LeaseRepository(session).begin_verifying(lease, now)


def _succeed(lease: Lease, model: ModelRow, session_factory: SessionFactory, now: datetime) -> None:
    with session_factory.begin() as session:
        if session.get(ModelRow, model.id) is None:
            LeaseRepository(session).succeed(lease, model, now)


def _is_published(model_id: str, session_factory: SessionFactory) -> bool:
    with session_factory() as session:
        return session.get(ModelRow, model_id) is not None
