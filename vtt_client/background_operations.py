"""Ask the service for what it does in the background: batches of predictions, and webhooks that tell of their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vtt_client.answers import UNHURRIED_SECONDS, get, listed, read, segment
from vtt_client.background_models import (
    Batch,
    BatchPage,
    BatchResult,
    EventName,
    NewWebhook,
    Webhook,
    WebhookDetail,
    WebhookPage,
)
from vtt_client.calls import Call, Operation
from vtt_client.errors import BatchFailedError
from vtt_client.files import Image, Progress, images_form
from vtt_client.predictions import Predictions
from vtt_client.waiting import until_ended


def start_batch(
    reference: str,
    source: Image | Sequence[Image],
    *,
    name: str = "",
    coverage: float | None = None,
    false_rejects: float | None = None,
    progress: Progress | None = None,
) -> Operation[Batch]:
    """Have many images classified in the background; see `wait_for_batch` and `batch_result`.

    Args:
        reference: id or alias of a model.
        source: a folder with its folders, a zip, an image, or several images; at most 10,000 images and a zip of 512 MiB,
            unless the service is set up otherwise.
        name: what you call the batch.
        coverage: as of `predict`.
        false_rejects: as of `predict`.
        progress: told the bytes that were sent, and those in all.

    Raises:
        BadInputError: there are no files.
        TooLargeError: more than a batch may have; send several.
    """
    with images_form(source, progress) as parts:
        params: dict[str, Any] = {"name": name or None, "coverage": coverage, "false_rejects": false_rejects}
        path = f"/v1/models/{segment(reference)}/predictions"
        return read(Batch, (yield Call("POST", path, params, files=parts, read_seconds=UNHURRIED_SECONDS)))


def batches() -> Operation[list[Batch]]:
    """Return the batches, newest first."""
    return (yield from listed("/v1/predictions", BatchPage, lambda page: page.items))


def batch(batch_id: str) -> Operation[Batch]:
    """Return a batch as it is now."""
    return read(Batch, (yield get(_path(batch_id))))


def wait_for_batch(
    batch_id: str, *, progress: Callable[[Batch], None] | None = None, timeout_seconds: float | None = None
) -> Operation[Batch]:
    """Wait until a batch has ended; return it.

    Args:
        batch_id: of a batch.
        progress: told the batch after each look.
        timeout_seconds: None to wait however long it takes.

    Raises:
        BatchFailedError: it ended without a result.
        TimeoutError: it had not ended in time; it goes on.
    """
    return (yield from until_ended(lambda: batch(batch_id), BatchFailedError, progress, timeout_seconds))


def cancel_batch(batch_id: str) -> Operation[Batch]:
    """Cancel a batch that has not ended; it has no result then."""
    return read(Batch, (yield Call("POST", f"{_path(batch_id)}/cancel")))


def batch_result(batch_id: str) -> Operation[Predictions]:
    """Return the result of a batch that has succeeded, a prediction for each file in the order they were sent.

    Raises:
        ConflictError: it has not succeeded.
    """
    return Predictions(read(BatchResult, (yield get(f"{_path(batch_id)}/result"))).predictions)


def create_webhook(url: str, events: Sequence[EventName]) -> Operation[NewWebhook]:
    """Have events posted to a URL.

    Args:
        url: a public address of yours.
        events: what it is told.

    Returns:
        The webhook with its `secret`, which is shown this once.
    """
    return read(NewWebhook, (yield Call("POST", "/v1/webhooks", json={"url": url, "events": list(events)})))


def webhooks() -> Operation[list[Webhook]]:
    """Return the webhooks, newest first."""
    return (yield from listed("/v1/webhooks", WebhookPage, lambda page: page.items))


def webhook(webhook_id: str) -> Operation[WebhookDetail]:
    """Return a webhook with its last deliveries, and why one failed."""
    return read(WebhookDetail, (yield get(f"/v1/webhooks/{segment(webhook_id)}")))


def _path(batch_id: str) -> str:
    return f"/v1/predictions/{segment(batch_id)}"
