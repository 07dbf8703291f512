"""The pages that measure a model on photographs with known classes, or two on the same ones, side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import AppContext, RequestContextDep, require_scope
from app.domain.access import Scope
from app.evaluations import query_images, service
from app.evaluations.endpoints import CHANGES, Reference
from app.infra.clock import utc_now
from app.infra.model_repository import ModelRepository
from app.infra.tables import ModelRow
from app.pages.form_values import display_name
from app.pages.measured import common_evaluations, evaluations_of, measurement, same_images
from app.pages.models import expected_of, method_of, name_of
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.texts import text
from app.pages.visits import FieldsDep, check_upload
from app.predictions.asked import Asked
from app.uploads.form import SpooledForm
from app.uploads.form_request import received_form
from vtt_core.contract.errors import UnknownClassesError
from vtt_core.contract.serving import DEFAULT_COVERAGE

TWO, ONE = "/models/compare", "/models/measure"
router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

NUM_TEXTS = 5
"""Text fields of the form, with one to spare."""
ModelsQuery = Annotated[list[Reference] | None, Query(max_length=20)]


@dataclass(frozen=True)
class Side:
    """One of the models."""

    model: ModelRow

    @property
    def name(self) -> str:
        """What the user calls it."""
        return name_of(self.model)

    @property
    def expected(self) -> dict[str, Any] | None:
        """Its expected accuracy; None where it was not measured."""
        return expected_of(self.model)

    @property
    def method(self) -> str:
        """How it was made, as the key of a text."""
        return method_of(self.model)


@router.get(TWO)
def show_comparison(
    request: Request, context: RequestContextDep, model: ModelsQuery = None, evaluation: str | None = None
) -> Response:
    """Show two models side by side, the older one first; `evaluation` is that of the second, on images that both have seen."""
    references = list(dict.fromkeys(model or []))
    if len(references) != 2:
        return render(request, "compare-choose.html.jinja", context, chosen=references)
    with context.readers() as session:
        found = [ModelRepository(session).resolve(reference) for reference in references]
        # In one order, whichever was ticked first, so that what was measured before is found again.
        rows = sorted(found, key=lambda row: (row.created_at, row.id))
        listed = common_evaluations(session, rows[0].id, rows[1].id)
        measured = measurement(session, rows, evaluation) if evaluation else None
    one, other = map(Side, rows)
    return render(
        request,
        "compare.html.jinja",
        context,
        one=one,
        other=other,
        common=[label for label in one.model.labels if label in other.model.labels],
        only_one=[label for label in one.model.labels if label not in other.model.labels],
        only_other=[label for label in other.model.labels if label not in one.model.labels],
        listed=listed,
        shown=evaluation,
        measured=measured,
        **_rights(context),
    )


@router.get(ONE)
def show_measurement(request: Request, context: RequestContextDep, model: Reference, evaluation: str | None = None) -> Response:
    """Measure one model on photographs with known classes, and show what came of it."""
    with context.readers() as session:
        row = ModelRepository(session).resolve(model)
        listed = evaluations_of(session, row.id)
        measured = measurement(session, [row], evaluation) if evaluation else None
    return render(
        request,
        "measure.html.jinja",
        context,
        one=Side(row),
        listed=listed,
        shown=evaluation,
        measured=measured,
        **_rights(context),
    )


async def _form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.evaluations.check()
    limits = query_images.evaluation_limits(context.settings.limits)
    async with received_form(request, replace(limits, max_parts=limits.max_parts + NUM_TEXTS)) as form:
        yield form


@router.post(TWO, dependencies=CHANGES)
async def measure(request: Request, form: Annotated[SpooledForm, Depends(_form)], context: RequestContextDep) -> Response:
    """Let one model or two classify the images of a form, as browsers without scripts send it."""
    check_upload(request, form)
    references = [part.text for part in form.texts if part.field_name == "model"][:2]
    name = display_name(next((part.text for part in form.texts if part.field_name == "name"), ""))
    form.parts = [part for part in form.files if part.file_name or part.size_bytes]
    models = await run_in_threadpool(service.find_models, context, references)
    number = await run_in_threadpool(_count_work, context, models, form)
    wanted = service.Wanted(Asked(DEFAULT_COVERAGE, None), name, keep_images=False)
    run = partial(service.evaluate_models, context, models, wanted, form, utc_now())
    done = await context.bounds.evaluations.run(number, run)
    return go_to(_address(references, done.rows[-1].id))


@router.post(TWO + "/delete", dependencies=CHANGES)
def delete_measurement(context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete what one model or two said of some images."""
    evaluation_id = fields.get("evaluation", "")
    references = [reference for reference in (fields.get("one"), fields.get("other")) if reference]
    ids = [evaluation_id]
    if len(references) > 1:
        with context.readers() as session:
            ids = [row.id for row in same_images(session, references[0], evaluation_id)]
    for one in ids:
        service.delete_evaluation(context, one)
    return go_to(_address(references))


def _rights(context: AppContext) -> dict[str, Any]:
    return {
        "may_train": Scope.TRAIN in context.caller.scopes,
        "max_images": context.settings.limits.max_evaluation_images,
    }


def _count_work(context: AppContext, models: Sequence[ModelRow], form: SpooledForm) -> int:
    """As the service counts it, but a refusal of the folders names the model as people do."""
    try:
        return service.count_work(context, models, form)
    except UnknownClassesError as error:
        expected = error.expected
        for model in models:
            expected = expected.replace(model.id, text("compare.quoted", name=name_of(model)))
        raise UnknownClassesError(expected=expected, got=error.got, remedy=text("compare.rename_folders")) from error


def _address(references: Sequence[str], evaluation_id: str | None = None) -> str:
    chosen = {"model": references, **({"evaluation": evaluation_id} if evaluation_id else {})}
    return f"{TWO if len(references) > 1 else ONE}?{urlencode(chosen, doseq=True)}"
