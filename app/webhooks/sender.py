"""Send what the outbox of webhooks holds, beside the reaper."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import StrEnum

import structlog

from app.domain.webhooks import DeliveryState, sign
from app.infra.clock import utc_now
from app.infra.database import SessionFactory
from app.infra.outages import OUTAGES
from app.infra.settings import Settings
from app.infra.webhook_repository import Delivery, WebhookRepository
from app.webhooks.post import DeliveryFailedError, post_event

THREADS = 4
"""Deliveries that are sent at once, so that a slow receiver does not hold up all others."""
AT_ONCE = 16
"""Deliveries that one sweep claims."""
CLAIM_FACTOR = 10.0
"""How many times as long as one delivery may take no other process sends it: a sweep sends four after one another, and the
look-up of a name has no time limit of its own."""
_log = structlog.get_logger(__name__)


class AttemptOutcome(StrEnum):
    """How one attempt at a delivery ended."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not_delivered"
    """It is tried again."""
    GIVEN_UP = "given_up"
    """It was the last attempt."""


class WebhookSender(threading.Thread):
    """Sends due deliveries every few seconds until it is stopped, and goes on after outages.

    Args:
        settings: pauses, time limit, and which addresses may be reached.
        session_factory: opens the database; bound to no tenant.
        clock: returns the current time.
    """

    def __init__(self, settings: Settings, session_factory: SessionFactory, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(name="webhooks", daemon=True)
        self._settings = settings
        self._session_factory = session_factory
        self._clock = clock
        self._stopped = threading.Event()
        self._chances = random.Random()
        self.counts = dict.fromkeys(AttemptOutcome, 0)
        """Attempts since the start, by how they ended."""
        self.delivery_seconds = 0.0
        """From the events to their deliveries, together."""

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopped.is_set():
            try:
                while self.sweep() == AT_ONCE and not self._stopped.is_set():
                    pass
            except OUTAGES as error:
                _log.warning("webhooks_wait", reason=str(error)[:300])
            except Exception:
                _log.exception("webhooks_failed")
            self._stopped.wait(self._settings.reaper_seconds)

    def sweep(self) -> int:
        """Send what is due now, and return how many deliveries that were; raises OUTAGES."""
        claim_seconds = CLAIM_FACTOR * self._settings.webhook_seconds
        with self._session_factory.begin() as session:
            webhooks = WebhookRepository(session)
            webhooks.purge(self._clock())
            claimed = webhooks.claim_due(self._clock(), claim_seconds, AT_ONCE)
        if claimed:
            with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
                for delivery, outcome in zip(claimed, pool.map(self._deliver, claimed), strict=True):
                    self.counts[outcome] += 1
                    if outcome is AttemptOutcome.DELIVERED:
                        self.delivery_seconds += (self._clock() - delivery.created_at).total_seconds()
        return len(claimed)

    def stop(self) -> None:
        """End the thread after the deliveries that it is at."""
        self._stopped.set()
        self.join()

    def _deliver(self, delivery: Delivery) -> AttemptOutcome:
        body = json.dumps(delivery.payload, separators=(",", ":")).encode()
        timestamp = int(self._clock().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "vtt-webhooks",
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(delivery.secret, delivery.delivery_id, timestamp, body),
        }
        settings = self._settings
        try:
            status = post_event(
                delivery.url,
                body,
                headers,
                may_reach_private=settings.webhooks_may_reach_private,
                seconds=settings.webhook_seconds,
            )
        except DeliveryFailedError as error:
            return self._note_failed(delivery, error)
        with self._session_factory.begin() as session:
            WebhookRepository(session).note_delivered(delivery, status, self._clock())
        return AttemptOutcome.DELIVERED

    def _note_failed(self, delivery: Delivery, error: DeliveryFailedError) -> AttemptOutcome:
        with self._session_factory.begin() as session:
            webhooks = WebhookRepository(session)
            state = webhooks.note_failed(delivery, error.status, error.reason, self._clock(), self._chances.random())
        outcome = AttemptOutcome.GIVEN_UP if state == DeliveryState.FAILED else AttemptOutcome.NOT_DELIVERED
        _log.warning(f"webhook_{outcome}", webhook_id=delivery.webhook_id, attempt=delivery.attempt, status=error.status)
        return outcome
