"""Define the events of webhooks, and how a delivery is signed and repeated.

Source: Standard Webhooks (github.com/standard-webhooks/standard-webhooks), specification: the headers `webhook-id`,
    `webhook-timestamp` and `webhook-signature`, and the form of the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from enum import StrEnum

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
MAX_DELIVERY_ATTEMPTS = 8
"""Attempts after which an event is given up: about eight hours with the pauses below."""
FIRST_PAUSE_SECONDS = 5.0
PAUSE_FACTOR = 4.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0


class Event(StrEnum):
    """What a webhook can be told."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    MODEL_PUBLISHED = "model.published"
    BATCH_SUCCEEDED = "batch.succeeded"
    BATCH_FAILED = "batch.failed"


class DeliveryState(StrEnum):
    """State of one event on its way to one webhook."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def draw_secret() -> str:
    """Return a random secret, in the form that libraries for Standard Webhooks read."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`: version 1, HMAC-SHA256 of id, timestamp and body, joined by dots.

    Args:
        secret: of the webhook.
        message_id: what the header `webhook-id` says.
        timestamp: what the header `webhook-timestamp` says, in seconds since 1970.
        body: as it is sent.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def pause_seconds(attempt: int, chance: float) -> float:
    """Return the pause after a failed attempt: four times as long each time, half of it left to chance.

    Args:
        attempt: 1 for the first.
        chance: from 0 to 1, so that many deliveries do not come back together.
    """
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * PAUSE_FACTOR ** (attempt - 1))
    return longest * (0.5 + chance / 2)
