"""Create and delete webhooks."""

from __future__ import annotations

from datetime import datetime

from app.dependencies import AppContext
from app.infra.tables import WebhookRow
from app.infra.webhook_repository import WebhookRepository
from app.webhooks.addresses import check_url
from app.webhooks.schemas import WebhookRequest


def create_webhook(context: AppContext, request: WebhookRequest, now: datetime) -> WebhookRow:
    """Add a webhook with a new secret.

    Raises:
        WebhookUrlError: events cannot be sent there, or may not.
        QuotaExceededError: the tenant has as many as it may.
    """
    check_url(request.url, may_reach_private=context.settings.webhooks_may_reach_private)
    with context.sessions.begin() as session:
        return WebhookRepository(session).create(request.url, request.events, now)


def delete_webhook(context: AppContext, webhook_id: str) -> None:
    """Remove a webhook; what was not sent yet is not sent any more; raises NotFoundError."""
    with context.sessions.begin() as session:
        WebhookRepository(session).delete(webhook_id)
