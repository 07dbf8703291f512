"""The page that shows a model photographs, and what it says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import AppContext, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import GoneError, NothingUsableError, PredictorNotReadyError
from app.health.metrics import MetricsDep
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.infra.support_set_repository import SupportSetRepository
from app.models.endpoints import ModelReference
from app.pages.models import expected_of, name_of
from app.pages.page_route import PageRoute
from app.pages.rendering import render
from app.pages.visits import check_upload
from app.predictions import service as predictions
from app.predictions.asked import Asked
from app.predictions.endpoints import count_images
from app.uploads.form import SpooledForm
from app.uploads.form_request import received_form
from vtt_core.contract.serving import DEFAULT_COVERAGE

router = APIRouter(
    prefix="/models/{model}/try", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(Scope.PREDICT)]
)

COVERAGES = (0.8, 0.9, 0.95, 0.99)
"""Promises of a prediction set that the page offers."""
NUM_TEXTS = 3
"""Text fields of the form, with one to spare."""


async def _form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.predictions.check()
    limits = predictions.predict_limits(context.settings.limits, None)
    async with received_form(
        request, replace(limits, max_parts=limits.max_parts + NUM_TEXTS, remedy="Choose fewer photographs at once")
    ) as form:
        yield form


FormDep = Annotated[SpooledForm, Depends(_form)]


@router.get("")
def show_try(model: ModelReference, request: Request, context: RequestContextDep) -> Response:
    """Ask for photographs."""
    return _page(request, context, model)


@router.post("")
async def try_images(
    model: ModelReference, request: Request, form: FormDep, context: RequestContextDep, counted: MetricsDep
) -> Response:
    """Answer the photographs of a form, as browsers without scripts send it."""
    check_upload(request, form)
    if context.predictor is None:
        raise PredictorNotReadyError(
            expected="a process that predicts",
            got="one of the role `control`, which does not",
            remedy="Let your browser run JavaScript, and load the page again",
        )
    coverage = _coverage(form)
    form.parts = [part for part in form.files if part.file_name or part.size_bytes]  # a browser sends empty choices too
    predict = partial(predictions.predict, context, model, form, Asked(coverage, None), utc_now())
    answered: list[Any]
    try:
        answer = await context.bounds.predictions.run(max(1, len(form.files)), predict)
        count_images(answer, counted)
        answered = [one.model_dump() for one in answer.predictions]
    except NothingUsableError as error:
        answered = [{"label": None, **result} for result in error.results]
    return await run_in_threadpool(_page, request, context, model, answered, coverage)


def _coverage(form: SpooledForm) -> float:
    """Return the promise that the form asks for; the usual one if it is none that the page offers."""
    sent = next((part.text for part in form.texts if part.field_name == "coverage"), "")
    return next((share for share in COVERAGES if str(share) == sent), DEFAULT_COVERAGE)


def _page(
    request: Request,
    context: AppContext,
    reference: str,
    answered: list[Any] | None = None,
    coverage: float = DEFAULT_COVERAGE,
) -> Response:
    with context.readers() as session:
        model = ModelRepository(session).resolve(reference)
        job = JobRepository(session).get_even_deleted(model.job_id)
        try:
            support_set = SupportSetRepository(session).get(job.support_set_id)
        except GoneError:
            support_set = None
    may_train = Scope.TRAIN in context.caller.scopes
    return render(
        request,
        "try.html.jinja",
        context,
        model=model,
        name=name_of(model),
        labels=model.labels,
        expected=expected_of(model),
        set_id=support_set.id if support_set is not None and may_train else None,
        negative=support_set.negative_label if support_set is not None else None,
        why_no_set="gone" if may_train else "key",
        coverages=COVERAGES,
        coverage=coverage,
        answered=answered,
    )
