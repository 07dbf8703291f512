"""Write down what webhooks are to be told, in the transaction in which it happens; `app/webhooks/sender.py` sends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.batches import BatchState
from app.domain.ids import DELIVERY_PREFIX, new_id
from app.domain.jobs import JobState
from app.domain.webhooks import DeliveryState, Event
from app.infra.tables import BatchRow, JobRow, WebhookDeliveryRow, WebhookRow


def announce(session: Session, tenant_id: str, event: Event, data: dict[str, Any], now: datetime) -> None:
    """Add a delivery for each webhook of the tenant that wants this event."""
    # Whoever deletes a webhook waits; else its delivery would have nowhere to go, and what is announced would be undone.
    wanted = select(WebhookRow).where(WebhookRow.tenant_id == tenant_id).with_for_update(read=True, key_share=True)
    for webhook in session.scalars(wanted):
        if event in webhook.events:
            session.add(
                WebhookDeliveryRow(
                    id=new_id(DELIVERY_PREFIX),
                    tenant_id=tenant_id,
                    webhook_id=webhook.id,
                    event=event,
                    payload={"type": event, "timestamp": now.isoformat(), "data": data},
                    state=DeliveryState.PENDING,
                    next_attempt_at=now,
                    created_at=now,
                )
            )


def announce_job(session: Session, row: JobRow, now: datetime, model_id: str | None = None) -> None:
    """Tell that a job has succeeded or failed."""
    event = Event.JOB_SUCCEEDED if row.state == JobState.SUCCEEDED else Event.JOB_FAILED
    data = {"job_id": row.id, "name": row.name, "state": str(row.state), "model_id": model_id, "error": row.error}
    announce(session, row.tenant_id, event, data, now)


def announce_batch(session: Session, row: BatchRow, now: datetime) -> None:
    """Tell that a batch has succeeded or failed."""
    event = Event.BATCH_SUCCEEDED if row.state == BatchState.SUCCEEDED else Event.BATCH_FAILED
    counts = {"total": row.num_images, "done": row.num_done, "refused": row.num_refused}
    data = {"batch_id": row.id, "name": row.name, "state": str(row.state), "model_id": row.model_id, **counts}
    announce(session, row.tenant_id, event, {**data, "error": row.error}, now)
