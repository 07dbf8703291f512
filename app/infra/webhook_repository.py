"""Read and change webhooks, and let one process at a time send a delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.domain.errors import NotFoundError, QuotaExceededError
from app.domain.ids import WEBHOOK_PREFIX, new_id
from app.domain.webhooks import MAX_DELIVERY_ATTEMPTS, DeliveryState, Event, draw_secret, pause_seconds
from app.infra.paging import fetch_page
from app.infra.tables import WebhookDeliveryRow, WebhookRow

MAX_WEBHOOKS = 20
"""Webhooks of one tenant."""
KEPT_DAYS = 7
"""Days for which it is shown what became of a delivery."""
MAX_ERROR_CHARACTERS = 500


@dataclass(frozen=True)
class Delivery:
    """One event that this process sends now, to one webhook."""

    delivery_id: str
    webhook_id: str
    url: str
    secret: str
    payload: dict[str, object]
    attempt: int
    created_at: datetime
    """When the event happened."""


class WebhookRepository:
    """Webhooks and their deliveries in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, url: str, events: Sequence[Event], now: datetime) -> WebhookRow:
        """Add a webhook with a new secret.

        Raises:
            QuotaExceededError: the tenant has as many as it may.
        """
        known = self._session.scalar(select(func.count()).select_from(WebhookRow)) or 0
        if known >= MAX_WEBHOOKS:
            raise QuotaExceededError(
                expected=f"at most {MAX_WEBHOOKS} webhooks",
                got=f"{known + 1}, counting this request",
                remedy="Delete one with DELETE /v1/webhooks/{id}",
            )
        names = sorted(set(map(str, events)))
        row = WebhookRow(id=new_id(WEBHOOK_PREFIX), url=url, events=names, secret=draw_secret(), created_at=now)
        self._session.add(row)
        self._session.flush()
        return row

    def get(self, webhook_id: str) -> WebhookRow:
        """Return a webhook; raises NotFoundError."""
        row = self._session.scalar(select(WebhookRow).where(WebhookRow.id == webhook_id))
        if row is None:
            raise NotFoundError(
                expected="the id of a webhook", got=repr(webhook_id), remedy="List the webhooks with GET /v1/webhooks"
            )
        return row

    def list_page(self, cursor: str | None, limit: int) -> tuple[list[WebhookRow], str | None]:
        """Return a page of webhooks, newest first, and the cursor of the next one."""
        return fetch_page(self._session, select(WebhookRow), cursor, limit)

    def delete(self, webhook_id: str) -> None:
        """Remove a webhook with its deliveries, sent or not; raises NotFoundError."""
        row = self.get(webhook_id)
        self._session.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook_id == row.id))
        self._session.delete(row)
        self._session.flush()

    def deliveries(self, webhook_id: str, limit: int) -> list[WebhookDeliveryRow]:
        """Return the last deliveries of a webhook, newest first."""
        statement = select(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook_id == webhook_id)
        newest = (WebhookDeliveryRow.created_at.desc(), WebhookDeliveryRow.id.desc())
        return list(self._session.scalars(statement.order_by(*newest).limit(limit)))

    def claim_due(self, now: datetime, claim_seconds: float, limit: int) -> list[Delivery]:
        """Return deliveries that this process, and no other, sends now.

        Args:
            now: the current time.
            claim_seconds: how long no other process sends them.
            limit: largest number.
        """
        is_due = (WebhookDeliveryRow.state == DeliveryState.PENDING, WebhookDeliveryRow.next_attempt_at <= now)
        due = select(WebhookDeliveryRow.id).where(*is_due).order_by(WebhookDeliveryRow.next_attempt_at)
        claimed = []
        for delivery_id in list(self._session.scalars(due.limit(limit))):
            values = {
                "attempt": WebhookDeliveryRow.attempt + 1,
                "next_attempt_at": now + timedelta(seconds=claim_seconds),
            }
            statement = update(WebhookDeliveryRow).where(WebhookDeliveryRow.id == delivery_id, *is_due).values(values)
            row = self._session.scalar(statement.returning(WebhookDeliveryRow), execution_options={"populate_existing": True})
            if row is not None:  # else another process was faster
                webhook = self._session.get_one(WebhookRow, row.webhook_id)
                of_webhook = webhook.id, webhook.url, webhook.secret
                claimed.append(Delivery(row.id, *of_webhook, row.payload, row.attempt, row.created_at))
        return claimed

    def num_due(self, now: datetime) -> int:
        """Return how many deliveries are due, which nobody sends at this moment."""
        is_due = (WebhookDeliveryRow.state == DeliveryState.PENDING, WebhookDeliveryRow.next_attempt_at <= now)
        return self._session.scalar(select(func.count()).select_from(WebhookDeliveryRow).where(*is_due)) or 0

    def note_delivered(self, delivery: Delivery, status: int, now: datetime) -> None:
        """Note that the receiver has taken a delivery."""
        self._note(delivery, state=DeliveryState.DELIVERED, status=status, delivered_at=now, last_error=None)

    def note_failed(self, delivery: Delivery, status: int | None, error: str, now: datetime, chance: float) -> DeliveryState:
        """Note why a delivery failed, and when it is tried again if it is.

        Args:
            delivery: as claimed.
            status: of the answer, if there was one.
            error: why it failed.
            now: the current time.
            chance: from 0 to 1; it moves the next attempt.
        """
        is_last = delivery.attempt >= MAX_DELIVERY_ATTEMPTS
        state = DeliveryState.FAILED if is_last else DeliveryState.PENDING
        next_attempt_at = now + timedelta(seconds=pause_seconds(delivery.attempt, chance))
        last_error = error[:MAX_ERROR_CHARACTERS]
        self._note(delivery, state=state, status=status, last_error=last_error, next_attempt_at=next_attempt_at)
        return state

    def purge(self, now: datetime) -> None:
        """Delete what was delivered or given up some days ago."""
        is_old = WebhookDeliveryRow.created_at <= now - timedelta(days=KEPT_DAYS)
        is_over = WebhookDeliveryRow.state.in_([DeliveryState.DELIVERED, DeliveryState.FAILED])
        self._session.execute(delete(WebhookDeliveryRow).where(is_over, is_old))

    def _note(self, delivery: Delivery, **values: object) -> None:
        # Another process may have claimed it meanwhile, if this one was held up for long.
        is_ours = (WebhookDeliveryRow.id == delivery.delivery_id, WebhookDeliveryRow.attempt == delivery.attempt)
        self._session.execute(update(WebhookDeliveryRow).where(*is_ours).values(**values))
