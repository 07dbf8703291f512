"""Answer /v1/models/{model}/attention."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.dependencies import RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.predictions import attention as service
from app.predictions.endpoints import ERRORS
from app.predictions.schemas import AttentionAnswer
from app.predictions.service import IMAGES_FIELD
from app.problem_details import problem_responses
from app.uploads.form import SpooledForm
from app.uploads.form_request import form_body, received_form
from vtt_core.contract.errors import NotAnImageError, UnsupportedBackboneError

router = APIRouter(tags=["predictions"], dependencies=[require_scope(Scope.PREDICT)])

BODY = form_body(
    {
        "required": [IMAGES_FIELD],
        "properties": {IMAGES_FIELD: {"type": "string", "format": "binary"}},
        "additionalProperties": False,
    }
)


async def _image_form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.predictions.check()
    async with received_form(request, service.attention_limits(context.settings.limits)) as form:
        yield form


@router.post(
    "/v1/models/{model}/attention",
    responses=problem_responses(*ERRORS, NotAnImageError, UnsupportedBackboneError),
    openapi_extra=BODY,
)
async def show_attention(
    model: Annotated[str, id_parameter("Id or alias of a model")],
    form: Annotated[SpooledForm, Depends(_image_form)],
    context: RequestContextDep,
) -> AttentionAnswer:
    """Show where a model looked in an image, before and after its training.

    Send one image in a form field named `images`. The answer has two grids of shares over the image: of the unchanged backbone,
    and of the model. What a model reads of an image does not depend on the classes, so the grids say where it looked, not why
    it chose a class.
    """
    answer_form = partial(service.attention, context, model, form)
    return await context.bounds.predictions.run(service.IMAGE_COST, answer_form)
