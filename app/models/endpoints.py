"""Answer /v1/models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from app.dependencies import AppContext, CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    BlobMissingError,
    GoneError,
    InterimModelError,
    MalformedRequestError,
    ModelNotReadyError,
    NotFoundError,
    PredictorNotReadyError,
    RequestTooLargeError,
    StoreUnavailableError,
    UnsupportedMediaTypeError,
)
from app.infra.clock import utc_now
from app.infra.tables import ModelRow
from app.models import report, service
from app.models.metrics import ModelMetrics, listed_metrics
from app.models.schemas import ModelAnswer, ModelBands, ModelChange, ModelLinks, ModelPage
from app.problem_details import problem_responses
from vtt_core.contract.errors import BackboneMismatchError, BackboneUnavailableError

router = APIRouter(tags=["models"], dependencies=[require_scope(*Scope)])

PREFIX = "/v1/models"
CHANGES = [require_scope(Scope.TRAIN)]
"""Scope that changing a model needs; reading one needs any."""
ModelReference = Annotated[str, id_parameter("Id or alias of a model")]
ModelId = Annotated[str, id_parameter("Id of a model")]
PIN_RESPONSES = problem_responses(
    NotFoundError,
    GoneError,
    InterimModelError,
    BlobMissingError,
    StoreUnavailableError,
    PredictorNotReadyError,
    BackboneUnavailableError,
    BackboneMismatchError,
)


@router.get(PREFIX, response_model_exclude_unset=True, responses=problem_responses(BadCursorError))
def list_models(
    session: ReadSessionDep, context: RequestContextDep, cursor: CursorQuery = None, limit: LimitQuery = 20
) -> ModelPage:
    """List the models, newest first, a page at a time. `resident` says whether the adapter is in memory.

    `metrics` of a list has only single numbers, such as `expected_accuracy`. What has an entry for each class or image, such as
    `confusion` and `mistakes`, is in the answer for one model.
    """
    found, next_cursor = service.list_models(session, cursor, limit)
    items = [_answer(context, row, aliases, listed_metrics(row.metrics)) for row, aliases in found]
    return ModelPage(items=items, next_cursor=next_cursor)


@router.get(
    PREFIX + "/{model}",
    response_model_exclude_unset=True,
    responses=problem_responses(NotFoundError, GoneError, ModelNotReadyError),
)
def get_model(model: ModelReference, session: ReadSessionDep, context: RequestContextDep) -> ModelAnswer:
    """Show a model by its id or an alias: its classes, its recipe, what was measured before it was published, and advice.

    `metrics.expected_accuracy` says how well it should classify images that it has not seen. Models of earlier releases have
    other numbers: `support` is their accuracy on the images that they had learnt from.
    """
    return _answer(context, *service.find_model(session, model))


@router.patch(
    PREFIX + "/{model}",
    dependencies=CHANGES,
    response_model_exclude_unset=True,
    responses=problem_responses(
        NotFoundError, GoneError, MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
    ),
)
def change_model(model: ModelId, change: ModelChange, context: RequestContextDep) -> ModelAnswer:
    """Rename a model, or change how readily it says "none of these" to requests that do not say `false_rejects` themselves.

    What it has learnt never changes. The next prediction of every process follows.
    """
    return _answer(context, *service.change_model(context, model, change.model_dump(exclude_unset=True)))


@router.delete(
    PREFIX + "/{model}",
    status_code=204,
    dependencies=CHANGES,
    responses=problem_responses(NotFoundError, GoneError, StoreUnavailableError),
)
def delete_model(model: ModelId, context: RequestContextDep) -> None:
    """Delete a model by its id. From then on it answers 410, and so do aliases that point to it until they are moved."""
    service.delete_model(context, model, utc_now())


@router.put(PREFIX + "/{model}/pin", dependencies=CHANGES, response_model_exclude_unset=True, responses=PIN_RESPONSES)
def pin_model(model: ModelId, context: RequestContextDep) -> ModelAnswer:
    """Keep a model's adapter in memory, so that no prediction waits for its files.

    Where several processes predict, the others load and keep it from their next prediction with it, or their next start.
    """
    return _answer(context, *service.set_pinned(context, model, True))


@router.delete(PREFIX + "/{model}/pin", dependencies=CHANGES, response_model_exclude_unset=True, responses=PIN_RESPONSES)
def unpin_model(model: ModelId, context: RequestContextDep) -> ModelAnswer:
    """Let a model's adapter be evicted from memory again when others need the room."""
    return _answer(context, *service.set_pinned(context, model, False))


@router.get(
    PREFIX + "/{model}/exports/adapter",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}, "description": "The zip"},
        **problem_responses(NotFoundError, GoneError, ModelNotReadyError, BlobMissingError, StoreUnavailableError),
    },
)
def export_adapter(model: ModelReference, session: ReadSessionDep, context: RequestContextDep) -> Response:
    """Download a model as a zip of `manifest.json` and `adapter.safetensors`, the same bytes each time.

    `vtt predict FOLDER IMAGE...` reads the folder that it unpacks to.
    """
    row, _ = service.find_model(session, model)
    headers = {"Content-Disposition": f'attachment; filename="{row.id}-adapter.zip"'}
    return Response(service.export_adapter(context, row), media_type="application/zip", headers=headers)


@router.get(
    PREFIX + "/{model}/exports/report",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The report"},
        **problem_responses(NotFoundError, GoneError, ModelNotReadyError, BlobMissingError, StoreUnavailableError),
    },
)
def export_report(model: ModelReference, session: ReadSessionDep, context: RequestContextDep) -> HTMLResponse:
    """Show what is known of a model as one HTML file, to read, print and cite; it needs no network and runs no script.

    It has the accuracy with its interval beside simpler ways to classify, the mistakes, what the model is not for, a paragraph
    for a methods section, and what is needed to make the model again.
    """
    row, _ = service.find_model(session, model)
    headers = {"Content-Disposition": f'inline; filename="{row.id}-report.html"', **report.FRAME_HEADERS}
    return HTMLResponse(report.export_report(context, session, row), headers=headers)


def _answer(context: AppContext, row: ModelRow, aliases: list[str], metrics: Mapping[str, Any] | None = None) -> ModelAnswer:
    predictor = context.predictor
    here = f"{PREFIX}/{row.id}"
    return ModelAnswer(
        id=row.id,
        name=row.name,
        aliases=aliases,
        job_id=row.job_id,
        interim=row.is_interim,
        backbone=row.backbone_id,
        backbone_sha256=row.backbone_sha256,
        labels=row.labels,
        bands=None if row.bands is None else ModelBands(**row.bands),
        method=row.recipe["method"],
        recipe=row.recipe,
        advice=row.metrics.get("advice", []),
        metrics=ModelMetrics.model_validate(row.metrics if metrics is None else metrics),
        false_rejects=row.false_rejects,
        adapter_bytes=row.adapter_bytes,
        pinned=row.is_pinned,
        resident=None if predictor is None else row.id in predictor.resident_ids(),
        created_at=row.created_at,
        links=ModelLinks(
            self=here,
            predict=f"{here}/predict",
            adapter=f"{here}/exports/adapter",
            report=f"{here}/exports/report",
            job=f"/v1/jobs/{row.job_id}",
        ),
    )
