"""See what waits in the background beside jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.batches import BatchState
from app.domain.exports import ExportState
from app.domain.webhooks import DeliveryState
from app.infra.batch_leases import BatchLeases
from app.infra.export_leases import ExportLeases
from app.infra.tables import BatchRow, ExportRow, WebhookDeliveryRow
from app.infra.webhook_repository import WebhookRepository


@dataclass(frozen=True)
class Backlog:
    """Rows of one kind of work in the background."""

    name: str
    by_state: dict[str, int]
    num_waiting: int
    """Those that nobody is at, although somebody could be."""


def look_at_backlogs(session: Session, now: datetime) -> list[Backlog]:
    """Return the batches, exports and deliveries of webhooks."""
    return [
        Backlog("batches", _count(session, BatchRow.state, BatchState), BatchLeases(session).waiting()),
        Backlog("exports", _count(session, ExportRow.state, ExportState), ExportLeases(session).waiting()),
        Backlog(
            "webhook_deliveries",
            _count(session, WebhookDeliveryRow.state, DeliveryState),
            WebhookRepository(session).num_due(now),
        ),
    ]


def _count(session: Session, column: InstrumentedAttribute[str], states: type[StrEnum]) -> dict[str, int]:
    rows = session.execute(select(column, func.count()).group_by(column))
    return dict.fromkeys(map(str, states), 0) | {state: count for state, count in rows}
