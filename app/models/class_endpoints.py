"""Answer /v1/models/{model}/classes."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.dependencies import RequestContextDep, require_scope
from app.display_names import DisplayName
from app.domain.access import Scope
from app.domain.errors import ClassExistsError, GoneError, InterimModelError, ModelNotReadyError, NotFoundError
from app.health.metrics import MetricsDep
from app.infra.clock import utc_now
from app.jobs.answers import fields
from app.models.add_classes import add_classes
from app.models.endpoints import PREFIX, ModelReference
from app.models.schemas import AddedClassesAnswer
from app.problem_details import problem_responses
from app.support_sets.answers import count_images
from app.support_sets.endpoints import FORM_BODY, UPLOAD_BYTES, UPLOAD_ERRORS, SupportFormDep
from vtt_core.contract.errors import BackboneUnavailableError, SameTokensError, SeveralProblemsError, TooManyClassesError

router = APIRouter(tags=["models"], dependencies=[require_scope(Scope.TRAIN)])


@router.post(
    PREFIX + "/{model}/classes",
    status_code=202,
    responses=problem_responses(
        NotFoundError,
        GoneError,
        ModelNotReadyError,
        InterimModelError,
        ClassExistsError,
        BackboneUnavailableError,
        TooManyClassesError,
        SameTokensError,
        SeveralProblemsError,
        *UPLOAD_ERRORS,
    ),
    openapi_extra=FORM_BODY,
)
async def add_model_classes(
    model: ModelReference,
    form: SupportFormDep,
    context: RequestContextDep,
    counted: MetricsDep,
    response: Response,
    name: Annotated[DisplayName, Query(description="What you call the new model; without it, as the old one")] = "",
) -> AddedClassesAnswer:
    """Add classes to a model without a new fine-tuning: the job takes seconds, and publishes a new model.

    Send images of the new classes in the form that creates a support set. They are put beside a copy of the images that the
    model was made from, in a new support set. The job takes the model's fine-tuning as it is, and learns the classifier on it
    anew. The old model stays.

    On an unchanged backbone (method `frozen`), the new model is the same as that of a new job, and is measured in the same way.
    A fine-tuned backbone has seen the old images and not the new ones, so nothing is measured; `advice` of the new model says
    so. Images that cannot be used are named in `results`, and the others are taken; a class without any is refused (422). So
    are classes that the model has (409), and a model whose support set was deleted (410).
    """
    add = partial(add_classes, context, model, form, name, utc_now())
    added = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, add)
    count_images(added.received, counted)
    job = fields(added.job, added.standing)
    response.headers["Location"] = job["links"].self
    return AddedClassesAnswer(**job, results=added.received.results, notices=added.received.notices)
