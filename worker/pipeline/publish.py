"""Strip, verify and publish what a fine-tuning has learnt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from app.domain.access import blob_folder
from app.domain.errors import StaleLeaseError
from app.domain.ids import MODEL_PREFIX, new_id
from app.infra.database import SessionFactory
from app.infra.leases import Lease, LeaseRepository
from app.infra.store import ObjectStore
from app.infra.tables import ModelRow
from vtt_core.adapter import adapter_to_files
from vtt_core.contract.support_set import SupportSet
from vtt_core.finetune import Finetune
from vtt_core.strip import strip
from vtt_core.verify import verify
from worker.heartbeat import Heartbeat
from worker.pipeline.fetch import Order

_log = structlog.get_logger(__name__)


def publish(
    finetune: Finetune,
    support_set: SupportSet,
    order: Order,
    *,
    lease: Lease,
    heartbeat: Heartbeat,
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
    """
    with session_factory.begin() as session:
        LeaseRepository(session).begin_verifying(lease, clock())
    adapter = strip(finetune)
    files = adapter_to_files(adapter)
    metrics = verify(finetune.backbone, finetune, files, support_set)
    heartbeat.check()
    model_id = new_id(MODEL_PREFIX)
    adapter_key = f"{blob_folder(order.tenant_id)}models/{model_id}"
    for name, content in files.items():
        store.put(f"{adapter_key}/{name}", content)
    model = ModelRow(
        id=model_id,
        tenant_id=order.tenant_id,
        job_id=order.job_id,
        name=order.name,
        backbone_id=order.backbone_id,
        backbone_sha256=adapter.manifest.backbone_sha256,
        labels=list(adapter.manifest.labels),
        recipe=order.recipe.to_json(),
        metrics=metrics,
        adapter_key=adapter_key,
        adapter_bytes=sum(map(len, files.values())),
        created_at=clock(),
    )
    try:
        with session_factory.begin() as session:
            LeaseRepository(session).succeed(lease, model, clock())
    except StaleLeaseError:
        # No row names the files. After any other error the commit may have arrived, and they must stay.
        store.delete_prefix(adapter_key)
        raise
    _log.info("published", model_id=model_id, adapter_bytes=model.adapter_bytes)
    return model_id
