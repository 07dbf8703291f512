"""Answer /v1/evaluations and /v1/models/{model}/evaluations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool

from app.dependencies import AppContext, CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import DisplayName, id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    BlobMissingError,
    DiskFullError,
    GoneError,
    InvalidRequestError,
    MalformedRequestError,
    ModelNotReadyError,
    NotFoundError,
    NothingUsableError,
    PredictorNotReadyError,
    QuotaExceededError,
    RequestTooLargeError,
    StoreUnavailableError,
    UnsupportedMediaTypeError,
)
from app.evaluations import answers, query_images, service
from app.evaluations.schemas import EvaluationDetail, EvaluationPage, EvaluationsAnswer
from app.infra.clock import utc_now
from app.infra.evaluation_repository import EvaluationRepository
from app.infra.tables import EvaluationRow, ModelRow
from app.predictions.asked import AskedDep
from app.problem_details import problem_responses
from app.uploads.form import SpooledForm
from app.uploads.form_request import form_body, form_with_room, received_form
from app.uploads.results import CREATED, MULTI_STATUS
from vtt_core.contract.errors import (
    ArchiveLayoutError,
    ArchiveTooLargeError,
    BackboneMismatchError,
    BackboneUnavailableError,
    GroupsError,
    NotAZipError,
    UnknownClassesError,
    UnknownEncodingError,
    UnsupportedMethodError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS

router = APIRouter(tags=["evaluations"], dependencies=[require_scope(*Scope)])

OF_MODEL = "/v1/models/{model}/evaluations"
CHANGES = [require_scope(Scope.TRAIN)]
"""Scope that evaluations need to be made, deleted, or shown with images; reading their numbers needs any."""
EvaluationId = Annotated[str, id_parameter("Id of an evaluation")]
ModelReference = Annotated[str, id_parameter("Id or alias of a model")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
KeepQuery = Annotated[bool, Query(description="Whether the images are kept, without their metadata, beside what was measured")]
NameQuery = Annotated[DisplayName, Query(description="What you call the images")]
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "JPEG2000": "image/jp2",
    "AVIF": "image/avif",
}
FORM_BODY = form_body(
    {
        "description": "Each field is named like a class of the model and holds one image of it; a name may come many times. "
        f"The field `archive` holds a zip with one folder a class. At most {DEFAULT_LIMITS.max_evaluation_images} images.",
        "properties": {"archive": {"type": "string", "format": "binary"}},
        "additionalProperties": {"type": "string", "format": "binary"},
    }
)
EVALUATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    MULTI_STATUS: {"model": EvaluationsAnswer, "description": "Some images could not be used; `refused` says which and why"},
    **problem_responses(
        NotFoundError,
        GoneError,
        ModelNotReadyError,
        InvalidRequestError,
        UnknownClassesError,
        NothingUsableError,
        GroupsError,
        NotAZipError,
        ArchiveTooLargeError,
        ArchiveLayoutError,
        UnknownEncodingError,
        UnsupportedMethodError,
        MalformedRequestError,
        UnsupportedMediaTypeError,
        RequestTooLargeError,
        QuotaExceededError,
        PredictorNotReadyError,
        BackboneUnavailableError,
        BackboneMismatchError,
        BlobMissingError,
        StoreUnavailableError,
        DiskFullError,
    ),
}


async def _one_model(model: ModelReference, context: RequestContextDep) -> tuple[ModelRow, ...]:
    return await run_in_threadpool(service.find_models, context, [model])


async def _several_models(
    context: RequestContextDep,
    model: Annotated[
        list[Reference],
        Query(
            min_length=1,
            max_length=service.MAX_MODELS,
            description="Ids or aliases of the models; the others are compared with the first",
        ),
    ],
) -> tuple[ModelRow, ...]:
    return await run_in_threadpool(service.find_models, context, model)


async def _form(request: Request, context: RequestContextDep, keep_images: KeepQuery = False) -> AsyncIterator[SpooledForm]:
    context.bounds.evaluations.check()
    limits, check_room = query_images.evaluation_limits(context.settings.limits), partial(service.check_room, context)
    async with form_with_room(request, limits, check_room) if keep_images else received_form(request, limits) as form:
        yield form


async def _wanted(asked: AskedDep, name: NameQuery = "", keep_images: KeepQuery = False) -> service.Wanted:
    return service.Wanted(asked, name, keep_images)


ModelDep = Annotated[tuple[ModelRow, ...], Depends(_one_model)]
ModelsDep = Annotated[tuple[ModelRow, ...], Depends(_several_models)]
QueryFormDep = Annotated[SpooledForm, Depends(_form)]
WantedDep = Annotated[service.Wanted, Depends(_wanted)]


@router.post(OF_MODEL, status_code=CREATED, dependencies=CHANGES, responses=EVALUATE_RESPONSES, openapi_extra=FORM_BODY)
async def evaluate_model(
    models: ModelDep, form: QueryFormDep, wanted: WantedDep, context: RequestContextDep, response: Response
) -> EvaluationsAnswer:
    """Measure a model on labelled images that it has not learnt from, and keep what was measured.

    Send a multipart form as for a support set: a field per class, or a zip with a folder per class in the field `archive`. Of a
    zip with folders such as `train` and `val`, the second is taken. A class may have any number of images; a request takes
    1000 (`VTT_LIMITS__MAX_EVALUATION_IMAGES`). The answer comes when all have been classified.

    The labels are those of the model; upper and lower case are the same. Images of classes that it does not know show how well
    it says `none_of_these`, and count for nothing else; `notices` names these classes. Images that cannot be used are named in
    `refused` with the reason, and the status is 207 instead of 201. If none can, it is 422 and nothing is stored.

    The images are kept only with `?keep_images=true`; then `mistakes` has links to them.
    """
    return await _evaluate(context, models, wanted, form, response)


@router.post(answers.PREFIX, status_code=CREATED, dependencies=CHANGES, responses=EVALUATE_RESPONSES, openapi_extra=FORM_BODY)
async def evaluate_models(
    models: ModelsDep, form: QueryFormDep, wanted: WantedDep, context: RequestContextDep, response: Response
) -> EvaluationsAnswer:
    """Measure 1 to 8 models on the same labelled images, and compare them with the first, image by image.

    `?model=a&model=b` names them; the rest is as of `POST /v1/models/{model}/evaluations`. Each model has an evaluation of its
    own. `compared` of all but the first has the difference of the accuracies with its 95 % interval. It is of pairs: each image
    is classified by both, so that it is more exact than the two accuracies let expect.

    Images that are kept are kept once, with the first evaluation: if that one is deleted, they are gone.
    """
    return await _evaluate(context, models, wanted, form, response)


@router.get(OF_MODEL, responses=problem_responses(NotFoundError, GoneError, ModelNotReadyError, BadCursorError))
def list_model_evaluations(
    model: ModelReference, session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20
) -> EvaluationPage:
    """List the evaluations of a model, newest first, a page at a time."""
    return _page(*service.list_evaluations(session, model, cursor, limit))


@router.get(answers.PREFIX, responses=problem_responses(BadCursorError))
def list_evaluations(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> EvaluationPage:
    """List all evaluations, also those of models that were deleted, newest first, a page at a time."""
    return _page(*service.list_evaluations(session, None, cursor, limit))


@router.get(answers.PREFIX + "/{evaluation_id}", responses=problem_responses(NotFoundError))
def get_evaluation(evaluation_id: EvaluationId, session: ReadSessionDep) -> EvaluationDetail:
    """Show all numbers of an evaluation, and the images that were kept. It stays when its model is deleted."""
    repository = EvaluationRepository(session)
    row = repository.get(evaluation_id)
    return answers.detail(row, repository.images(row))


@router.delete(
    answers.PREFIX + "/{evaluation_id}",
    status_code=204,
    dependencies=CHANGES,
    responses=problem_responses(NotFoundError, StoreUnavailableError),
)
def delete_evaluation(evaluation_id: EvaluationId, context: RequestContextDep) -> None:
    """Delete an evaluation, with the images that were kept with it."""
    service.delete_evaluation(context, evaluation_id)


@router.get(
    answers.PREFIX + "/{evaluation_id}/images/{image_id}",
    response_class=Response,
    dependencies=CHANGES,
    responses={
        200: {
            "description": "The image",
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()},
        },
        **problem_responses(NotFoundError, BlobMissingError, StoreUnavailableError),
    },
)
def get_evaluation_image(
    evaluation_id: EvaluationId,
    image_id: Annotated[str, id_parameter("Id of a kept image")],
    session: ReadSessionDep,
    context: RequestContextDep,
) -> Response:
    """Show an image that was kept, without its metadata."""
    row, content = service.read_image(context, session, evaluation_id, image_id)
    return Response(content, media_type=MEDIA_TYPES[row.image_format], headers={"Content-Disposition": "inline"})


async def _evaluate(
    context: AppContext, models: tuple[ModelRow, ...], wanted: service.Wanted, form: SpooledForm, response: Response
) -> EvaluationsAnswer:
    number = await run_in_threadpool(service.count_work, context, models, form)
    measure = partial(service.evaluate_models, context, models, wanted, form, utc_now())
    done = await context.bounds.evaluations.run(number, measure)
    response.headers["Location"] = f"{answers.PREFIX}/{done.rows[0].id}"
    if done.refused:
        response.status_code = MULTI_STATUS
    return EvaluationsAnswer(
        evaluations=[answers.detail(row, done.images) for row in done.rows], refused=done.refused, notices=done.notices
    )


def _page(rows: list[EvaluationRow], next_cursor: str | None) -> EvaluationPage:
    return EvaluationPage(items=[answers.summary(row) for row in rows], next_cursor=next_cursor)
