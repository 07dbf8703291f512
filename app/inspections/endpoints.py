"""Answer /v1/support-sets/{id}/report."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from app.dependencies import RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import BlobMissingError, GoneError, NotFoundError, PredictorNotReadyError, StoreUnavailableError
from app.inspections import service
from app.inspections.schemas import ReportAnswer
from app.problem_details import problem_responses
from vtt_core.contract.errors import BackboneUnavailableError, SameTokensError, TooFewClassesError, TooManyClassesError

router = APIRouter(tags=["support sets"], dependencies=[require_scope(Scope.TRAIN)])


@router.post(
    "/v1/support-sets/{support_set_id}/report",
    responses=problem_responses(
        NotFoundError,
        GoneError,
        TooFewClassesError,
        TooManyClassesError,
        SameTokensError,
        PredictorNotReadyError,
        BackboneUnavailableError,
        BlobMissingError,
        StoreUnavailableError,
    ),
)
async def report_on_support_set(
    support_set_id: Annotated[str, id_parameter("Id of a support set")], context: RequestContextDep
) -> ReportAnswer:
    """Report on a support set before any training, in seconds. Nothing is changed, and the set is not frozen.

    `findings` says in plain words what is wrong or worth a look: copies of a photo, labels that look wrong, groups that leak,
    classes that are told by image size, border, file format or colour alone, weak classes, and what more images would bring.
    The numbers behind them stand beside. The images are looked at by the service's default backbone, not fine-tuned.
    """
    context.bounds.reports.check()
    request = await run_in_threadpool(service.read_request, context, support_set_id)
    return await context.bounds.reports.run(len(request.images), partial(service.report, context, request))
