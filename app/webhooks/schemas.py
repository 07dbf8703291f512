"""Schemas of webhooks."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.domain.webhooks import DeliveryState, Event


class WebhookRequest(BaseModel):
    """Where to send which events."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        min_length=1,
        max_length=2000,
        description="A public http or https address, without user and password",
        examples=["https://lab.example/hooks/vtt"],
    )
    events: list[Event] = Field(min_length=1, max_length=20, description="What to be told")


class WebhookAnswer(BaseModel):
    """A webhook."""

    id: str = Field(examples=["whk_0f1e2d3c4b5a69788796a5b4"])
    url: str
    events: list[Event]
    created_at: datetime


class NewWebhook(WebhookAnswer):
    """A new webhook with its secret, which is shown this once."""

    secret: str = Field(description="Signs what is sent: keep it to verify the header `webhook-signature`")


class DeliveryAnswer(BaseModel):
    """One event on its way to a webhook."""

    id: str = Field(description="Header `webhook-id`, the same at every attempt", examples=["msg_0f1e2d3c4b5a69788796a5b4"])
    event: Event
    state: DeliveryState = Field(description="`failed` after the last attempt")
    attempt: int = Field(description="Attempts so far")
    status: int | None = Field(description="HTTP status of the last answer; null if there was none")
    last_error: str | None = Field(description="Why the last attempt failed")
    next_attempt_at: datetime | None = Field(description="Null once it is over")
    created_at: datetime
    delivered_at: datetime | None


class WebhookDetail(WebhookAnswer):
    """A webhook and its last deliveries."""

    deliveries: list[DeliveryAnswer] = Field(description="The last 20, newest first; kept for a week")


class WebhookPage(BaseModel):
    """Some webhooks, newest first."""

    items: list[WebhookAnswer]
    next_cursor: str | None = Field(description="Null on the last page")
