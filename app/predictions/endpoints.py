"""Answer predictions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.dependencies import RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BlobMissingError,
    DiskFullError,
    GoneError,
    MalformedRequestError,
    ModelNotReadyError,
    NotFoundError,
    NothingUsableError,
    PredictorNotReadyError,
    RequestTooLargeError,
    StoreUnavailableError,
    UnsupportedMediaTypeError,
)
from app.health.metrics import Metrics, MetricsDep
from app.infra.clock import utc_now
from app.predictions import service
from app.predictions.asked import AskedDep
from app.predictions.schemas import ANSWERED, PredictAnswer, PredictingModel
from app.problem_details import problem_responses
from app.uploads.form import SpooledForm
from app.uploads.form_request import form_body, received_form
from app.uploads.results import MULTI_STATUS
from vtt_core.contract.errors import BackboneMismatchError, BackboneUnavailableError
from vtt_core.contract.limits import DEFAULT_LIMITS

router = APIRouter(tags=["predictions"], dependencies=[require_scope(Scope.PREDICT)])

ERRORS = (
    NotFoundError,
    GoneError,
    ModelNotReadyError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
    RequestTooLargeError,
    PredictorNotReadyError,
    BackboneUnavailableError,
    BackboneMismatchError,
    BlobMissingError,
    StoreUnavailableError,
    DiskFullError,
)
"""What whoever sends query images may be told."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    MULTI_STATUS: {"model": PredictAnswer, "description": "Some images could not be read; `predictions` says which and why"},
    **problem_responses(*ERRORS, NothingUsableError),
}


def _images_and(*text_fields: str) -> dict[str, Any]:
    most = DEFAULT_LIMITS.max_query_images
    images = {"type": "array", "minItems": 1, "maxItems": most, "items": {"type": "string", "format": "binary"}}
    properties = {
        **{name: {"type": "string", "minLength": 1, "examples": ["satellite"]} for name in text_fields},
        service.IMAGES_FIELD: images,
    }
    return form_body({"required": list(properties), "properties": properties, "additionalProperties": False})


async def _query_form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.predictions.check()
    limits = service.predict_limits(context.settings.limits, request.path_params.get("model"))
    async with received_form(request, limits) as form:
        yield form


QueryFormDep = Annotated[SpooledForm, Depends(_query_form)]


@router.post("/v1/models/{model}/predict", responses=RESPONSES, response_model_exclude_unset=True, openapi_extra=_images_and())
async def predict_with_model(
    model: Annotated[str, id_parameter("Id or alias of a model")],
    form: QueryFormDep,
    asked: AskedDep,
    context: RequestContextDep,
    counted: MetricsDep,
    response: Response,
) -> PredictAnswer:
    """Classify images with a model, named by its id or an alias.

    Send up to 64 images in form fields named `images`: `curl -F images=@a.jpg -F images=@b.jpg ...`. For more images, see
    `POST /v1/models/{model}/predictions`. The answer has the probability of every class for each image, the likeliest first.
    It also says whether the image probably shows none of them (`none_of_these`), and all classes that it may well be of
    (`prediction_set`). If some images cannot be read, the answer gives the reason for each of them and classifies the others,
    and the status is 207.
    """
    with counted.requests.predict_seconds.time():
        answer_form = partial(service.predict, context, model, form, asked, utc_now())
        return _answer(await context.bounds.predictions.run(len(form.files), answer_form), counted, response)


@router.post("/predict", responses=RESPONSES, response_model_exclude_unset=True, openapi_extra=_images_and(service.MODEL_FIELD))
async def predict(
    form: QueryFormDep, asked: AskedDep, context: RequestContextDep, counted: MetricsDep, response: Response
) -> PredictAnswer:
    """Classify images with the model that the form field `model` names, by its id or an alias.

    `curl -F model=satellite -F images=@a.jpg ...`; otherwise the same as `POST /v1/models/{model}/predict`.
    """
    with counted.requests.predict_seconds.time():
        answer_form = partial(service.predict, context, service.model_named_in(form), form, asked, utc_now())
        return _answer(await context.bounds.predictions.run(len(form.files), answer_form), counted, response)


def count_images(answer: service.Answer, counted: Metrics) -> None:
    """Count the images of an answer, for the metrics."""
    for prediction in answer.predictions:
        counted.requests.predicted_images.labels(prediction.code or "answered").inc()


def _answer(answer: service.Answer, counted: Metrics, response: Response) -> PredictAnswer:
    count_images(answer, counted)
    if any(prediction.status != ANSWERED for prediction in answer.predictions):
        response.status_code = MULTI_STATUS
    model = PredictingModel(id=answer.model.id, name=answer.model.name, backbone=answer.model.backbone_id)
    return PredictAnswer(model=model, predictions=answer.predictions)
