"""What the service answers about batches and webhooks; held to the description of the API as `models.py` is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from vtt_client.models import FINAL_STATES, Answer, ImagePrediction, JobFailure

EventName: TypeAlias = Literal["job.succeeded", "job.failed", "model.published", "batch.succeeded", "batch.failed"]


class BatchLinks(Answer):
    """Where to go from a batch."""

    self: str
    model: str
    cancel: str
    result: str | None
    csv: str | None


class Batch(Answer):
    """A batch and how far it is."""

    id: str
    name: str
    state: Literal["receiving", "queued", "running", "succeeded", "failed", "cancelled"]
    model_id: str
    coverage: float
    false_rejects: float
    total: int
    done: int
    refused: int
    seconds_left: float | None
    error: JobFailure | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: BatchLinks

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL_STATES


class BatchPage(Answer):
    """Some batches, newest first."""

    items: list[Batch]
    next_cursor: str | None


class BatchResult(Answer):
    """What a batch found."""

    id: str
    model_id: str
    labels: list[str]
    predictions: list[ImagePrediction]


class Webhook(Answer):
    """A URL that is told of events."""

    id: str
    url: str
    events: list[EventName]
    created_at: datetime


class NewWebhook(Webhook):
    """A new webhook with its secret, which is shown this once."""

    secret: str


class Delivery(Answer):
    """One event on its way to a webhook."""

    id: str
    event: EventName
    state: Literal["pending", "delivered", "failed"]
    attempt: int
    status: int | None
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


class WebhookDetail(Webhook):
    """A webhook and its last deliveries."""

    deliveries: list[Delivery]


class WebhookPage(Answer):
    """Some webhooks, newest first."""

    items: list[Webhook]
    next_cursor: str | None
