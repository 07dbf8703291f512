"""Answer /v1/models/{model}/predictions and /v1/predictions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.batches import service
from app.batches.answers import PREFIX, answer
from app.batches.results import begun, check_ready, csv_lines, json_lines
from app.batches.schemas import BatchAnswer, BatchPage, BatchResult, ResultFormat
from app.batches.sent_images import ARCHIVE_FIELD, IMAGES_FIELD, batch_limits
from app.dependencies import CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import DisplayName, id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    BatchEndedError,
    BatchNotReadyError,
    BlobMissingError,
    DiskFullError,
    GoneError,
    InterimModelError,
    MalformedRequestError,
    ModelNotReadyError,
    NotFoundError,
    QuotaExceededError,
    RequestTooLargeError,
    StoreUnavailableError,
    UnsupportedMediaTypeError,
)
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_repository import BatchRepository
from app.infra.clock import utc_now
from app.infra.tables import ModelRow
from app.predictions.asked import AskedDep
from app.problem_details import problem_responses
from app.support_sets.endpoints import UPLOAD_BYTES
from app.uploads.form import SpooledForm
from app.uploads.form_request import form_body, form_with_room
from vtt_core.contract.errors import ArchiveTooLargeError, NotAZipError, UnsupportedMethodError

router = APIRouter(tags=["predictions"], dependencies=[require_scope(Scope.PREDICT)])

BatchId = Annotated[str, id_parameter("Id of a batch")]
FORM = form_body(
    {
        "description": "A zip with images in folders of any kind, or images. By default a batch has at most 10,000 images of "
        "2 GiB together; a zip has at most 512 MiB, and a request 600 MiB.",
        "properties": {
            ARCHIVE_FIELD: {"type": "string", "format": "binary"},
            IMAGES_FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}},
        },
        "additionalProperties": False,
        "minProperties": 1,
    }
)


async def _batch_form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.uploads.check()
    limits = batch_limits(context.settings.limits)
    async with form_with_room(request, limits, partial(service.check_room, context)) as form:
        yield form


@router.post(
    "/v1/models/{model}/predictions",
    status_code=202,
    openapi_extra=FORM,
    responses=problem_responses(
        NotFoundError,
        GoneError,
        ModelNotReadyError,
        InterimModelError,
        QuotaExceededError,
        NotAZipError,
        ArchiveTooLargeError,
        UnsupportedMethodError,
        MalformedRequestError,
        UnsupportedMediaTypeError,
        RequestTooLargeError,
        StoreUnavailableError,
        DiskFullError,
    ),
)
async def create_batch(
    model: Annotated[str, id_parameter("Id or alias of a model")],
    form: Annotated[SpooledForm, Depends(_batch_form)],
    asked: AskedDep,
    context: RequestContextDep,
    response: Response,
    name: Annotated[DisplayName, Query(description="What you call the batch")] = "",
) -> BatchAnswer:
    """Classify many images in the background: up to 10,000 in one request.

    Send a zip (`curl -F archive=@images.zip ...`), in which folders may be as they like and names are kept, or images
    (`curl -F images=@a.jpg -F images=@b.jpg ...`). The answer comes once they are stored (202); `Location` names the batch.
    A worker predicts them, 64 at a time, and takes turns with jobs. A file that is no usable image is a line of the result
    with its reason, and the others are classified. The images are removed from the service as soon as they have a result, or
    the batch is cancelled or deleted.

    A tenant with a quota of predictions a minute gets its batches at that pace.
    """
    take_in = partial(service.create_batch, context, model, form, asked, name, utc_now())
    row = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, take_in)
    response.headers["Location"] = f"{PREFIX}/{row.id}"
    return answer(row)


@router.get(PREFIX, responses=problem_responses(BadCursorError))
def list_batches(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> BatchPage:
    """List the batches, newest first, a page at a time."""
    rows, next_cursor = BatchRepository(session).list_page(cursor, limit)
    return BatchPage(items=[answer(row) for row in rows], next_cursor=next_cursor)


@router.get(PREFIX + "/{batch_id}", responses=problem_responses(NotFoundError, GoneError))
def get_batch(batch_id: BatchId, session: ReadSessionDep) -> BatchAnswer:
    """Show a batch: its state, how many images are done, and the seconds left."""
    return answer(BatchRepository(session).get(batch_id))


@router.get(
    PREFIX + "/{batch_id}/result",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The result",
            "model": BatchResult,
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problem_responses(NotFoundError, GoneError, BatchNotReadyError, BlobMissingError, StoreUnavailableError),
    },
)
def get_batch_result(
    batch_id: BatchId,
    session: ReadSessionDep,
    context: RequestContextDep,
    wanted: Annotated[ResultFormat, Query(alias="format", description="`json` or `csv`")] = ResultFormat.JSON,
) -> StreamingResponse:
    """Download the result of a batch that has succeeded, an entry for each file in the order they were sent.

    JSON has the fields of `/predict`. CSV has a row for each file: its name, the label and its probability, `none_of_these`,
    the prediction set, and a column with the probability of each class; a text that a spreadsheet would take for a formula
    begins with a quote.
    """
    row = BatchRepository(session).get(batch_id)
    check_ready(row)
    labels = session.get_one(ModelRow, row.model_id).labels
    results = begun(BatchBlobs(context.store, row.blob_key).results(row.num_chunks))
    if wanted is ResultFormat.CSV:
        headers = {"Content-Disposition": f'attachment; filename="{row.id}.csv"'}
        return StreamingResponse(csv_lines(labels, results), media_type="text/csv; charset=utf-8", headers=headers)
    head = {"id": row.id, "model_id": row.model_id, "labels": labels}
    return StreamingResponse(json_lines(head, results), media_type="application/json")


@router.post(
    PREFIX + "/{batch_id}/cancel",
    status_code=202,
    responses=problem_responses(NotFoundError, GoneError, BatchEndedError),
)
def cancel_batch(batch_id: BatchId, context: RequestContextDep) -> BatchAnswer:
    """Cancel a batch that has not ended: its images are removed, and it has no result."""
    return answer(service.cancel_batch(context, batch_id, utc_now()))


@router.delete(PREFIX + "/{batch_id}", status_code=204, responses=problem_responses(NotFoundError, GoneError))
def delete_batch(batch_id: BatchId, context: RequestContextDep) -> None:
    """Delete a batch with its images and its result; one that has not ended is cancelled first."""
    service.delete_batch(context, batch_id, utc_now())
