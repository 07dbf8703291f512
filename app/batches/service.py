"""Receive, cancel and delete batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from app.access.quotas import check_bytes, check_room_for_bytes
from app.batches.sent_images import check_fields, chunks_of
from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import InvalidRequestError
from app.domain.ids import BATCH_PREFIX, new_id
from app.domain.messages import BatchMessage
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.batch_leases import BatchLeases
from app.infra.batch_repository import BatchRepository, NewBatch, StoredImages
from app.infra.model_repository import ModelRepository
from app.infra.outages import DATABASE_AWAY, OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.tables import BatchRow
from app.infra.telemetry import bound_request_id
from app.predictions.asked import Asked
from app.uploads.form import SpooledForm


def check_room(context: AppContext, num_bytes: int) -> None:
    """Refuse a batch that there is no room for, before its body is read.

    Args:
        context: of the caller.
        num_bytes: length of the body as its header says, 0 where it does not.

    Raises:
        QuotaExceededError: the tenant would have more bytes than its quota.
        DiskFullError: the disk is full, or would be.
    """
    check_room_for_bytes(context.readers, context.caller, num_bytes)
    context.disk.check_room(num_bytes)


def create_batch(context: AppContext, reference: str, form: SpooledForm, asked: Asked, name: str, now: datetime) -> BatchRow:
    """Store the images of a form and queue their batch; the message to the workers is sent after the commit.

    A row comes first, so that the images of a process that dies here are found and removed.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        InterimModelError: the service will delete the model when its job succeeds.
        InvalidRequestError: no file came, or under another field name.
        ArchiveError: a zip cannot be read.
        RequestTooLargeError: more images or bytes than a batch may have.
        QuotaExceededError: the tenant would have more bytes than its quota.
    """
    check_fields(form)
    with context.sessions.begin() as session:
        models = ModelRepository(session)
        model = models.get_lasting(models.resolve(reference).id)
        options, backbone_id = asked.options(model), model.backbone_id
        batch_id = new_id(BATCH_PREFIX)
        key = f"{blob_folder(context.caller.tenant_id)}batches/{batch_id}"
        new = NewBatch(batch_id, model.id, name, options.coverage, options.false_rejects, key, bound_request_id())
        BatchRepository(session).receive(new, now)
    blobs = BatchBlobs(context.store, key)
    with _removed_on_failure(context, batch_id, blobs):
        stored = _store(blobs, chunks_of(form, backbone_id, context.settings.limits))
        with context.sessions() as session, session.begin():  # the line of the audit log is there already
            row = BatchRepository(session).queue(batch_id, stored, now)
            check_bytes(session, context.caller)  # a zip has more in it than its length told
            send_after_commit(session, context.queue, BatchMessage(batch_id))
        return row


def cancel_batch(context: AppContext, batch_id: str, now: datetime) -> BatchRow:
    """End a batch without a result, and remove its images.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
        BatchEndedError: it has succeeded or failed.
    """
    with context.sessions.begin() as session:
        row = BatchRepository(session).cancel(batch_id, now)
    _clear(context, row)
    return row


def delete_batch(context: AppContext, batch_id: str, now: datetime) -> None:
    """Delete a batch with its images and results; one that has not ended is cancelled.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted before.
    """
    with context.sessions.begin() as session:
        row = BatchRepository(session).delete(batch_id, now)
    _clear(context, row)


def _store(blobs: BatchBlobs, chunks: Iterable[list[SentImage]]) -> StoredImages:
    num_images = num_chunks = size_bytes = 0
    for chunk in chunks:
        blobs.put_images(num_chunks, chunk)
        num_chunks += 1
        num_images += len(chunk)
        size_bytes += sum(len(image.content or b"") for image in chunk)
    if not num_images:
        raise InvalidRequestError(
            expected="at least one image", got="a zip without a file", remedy="Pack the images, in folders or not"
        )
    return StoredImages(num_images, num_chunks, size_bytes)


@contextmanager
def _removed_on_failure(context: AppContext, batch_id: str, blobs: BatchBlobs) -> Iterator[None]:
    try:
        yield
    except DATABASE_AWAY:
        # The commit may have arrived although its answer did not; the reaper removes what was not received.
        raise
    except BaseException:
        with suppress(*OUTAGES):
            blobs.clear(keeps_results=False)
            with context.sessions() as session, session.begin():
                BatchRepository(session).drop(batch_id)
        raise


def _clear(context: AppContext, row: BatchRow) -> None:
    """Remove what is no longer needed; what cannot be removed now is left to the reaper."""
    with suppress(*OUTAGES):
        BatchBlobs(context.store, row.blob_key).clear(keeps_results=False)
        with context.sessions() as session, session.begin():
            BatchLeases(session).note_cleared(row.id, row.deleted_at is not None)
