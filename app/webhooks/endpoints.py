"""Answer /v1/webhooks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response

from app.dependencies import CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    MalformedRequestError,
    NotFoundError,
    QuotaExceededError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
    WebhookUrlError,
)
from app.domain.webhooks import DeliveryState, Event
from app.infra.clock import utc_now
from app.infra.tables import WebhookDeliveryRow, WebhookRow
from app.infra.webhook_repository import WebhookRepository
from app.problem_details import problem_responses
from app.webhooks import service
from app.webhooks.schemas import DeliveryAnswer, NewWebhook, WebhookAnswer, WebhookDetail, WebhookPage, WebhookRequest

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=[require_scope(Scope.TRAIN)])

SHOWN_DELIVERIES = 20
WebhookId = Annotated[str, id_parameter("Id of a webhook")]


@router.post(
    "",
    status_code=201,
    responses=problem_responses(
        WebhookUrlError, QuotaExceededError, MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
    ),
)
def create_webhook(request: WebhookRequest, context: RequestContextDep, response: Response) -> NewWebhook:
    """Be told when a job, a model or a batch is ready: each event is posted to the URL as JSON.

    `secret` is shown this once. Requests are signed by the rules of Standard Webhooks: `webhook-signature` is `v1,` and the
    base64 of the HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`; the key is the base64 after `whsec_`. Answer with
    a status of 200 to 299 within 10 seconds. Anything else, a redirect too, is tried again, eight times in about eight hours.
    An event can arrive twice: `webhook-id` is then the same.
    """
    row = service.create_webhook(context, request, utc_now())
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    return NewWebhook(**_fields(row), secret=row.secret)


@router.get("", responses=problem_responses(BadCursorError))
def list_webhooks(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> WebhookPage:
    """List the webhooks, newest first, a page at a time."""
    rows, next_cursor = WebhookRepository(session).list_page(cursor, limit)
    return WebhookPage(items=[WebhookAnswer(**_fields(row)) for row in rows], next_cursor=next_cursor)


@router.get("/{webhook_id}", responses=problem_responses(NotFoundError))
def get_webhook(webhook_id: WebhookId, session: ReadSessionDep) -> WebhookDetail:
    """Show a webhook and its last deliveries: whether they arrived, and why not."""
    webhooks = WebhookRepository(session)
    row = webhooks.get(webhook_id)
    deliveries = [_delivery(one) for one in webhooks.deliveries(row.id, SHOWN_DELIVERIES)]
    return WebhookDetail(**_fields(row), deliveries=deliveries)


@router.delete("/{webhook_id}", status_code=204, responses=problem_responses(NotFoundError))
def delete_webhook(webhook_id: WebhookId, context: RequestContextDep) -> None:
    """Delete a webhook. What was not sent yet is not sent any more."""
    service.delete_webhook(context, webhook_id)


def _fields(row: WebhookRow) -> dict[str, Any]:
    return {"id": row.id, "url": row.url, "events": row.events, "created_at": row.created_at}


def _delivery(row: WebhookDeliveryRow) -> DeliveryAnswer:
    return DeliveryAnswer(
        id=row.id,
        event=Event(row.event),
        state=DeliveryState(row.state),
        attempt=row.attempt,
        status=row.status,
        last_error=row.last_error,
        next_attempt_at=row.next_attempt_at if row.state == DeliveryState.PENDING else None,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
    )
