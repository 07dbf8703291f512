"""The page that puts two models side by side, and what both say of the same images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.dependencies import RequestContextDep, require_scope
from app.domain.access import Scope
from app.evaluations import answers, query_images, service
from app.evaluations.endpoints import CHANGES, Reference
from app.evaluations.schemas import EvaluationDetail
from app.infra.clock import utc_now
from app.infra.evaluation_repository import EvaluationRepository
from app.infra.model_repository import ModelRepository
from app.infra.tables import EvaluationRow, ModelRow
from app.pages.form_values import display_name
from app.pages.models import expected_of, method_of, name_of
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.visits import FieldsDep, check_upload
from app.predictions.asked import Asked
from app.uploads.form import SpooledForm
from app.uploads.form_request import received_form
from vtt_core.contract.serving import DEFAULT_COVERAGE

HERE = "/models/compare"
router = APIRouter(prefix=HERE, route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

NUM_TEXTS = 5
"""Text fields of the form, with one to spare."""
MOST_LISTED = 50
"""Evaluations of a model that are looked through for those of the other model's images."""
ModelsQuery = Annotated[list[Reference] | None, Query(max_length=20)]


@dataclass(frozen=True)
class Side:
    """One of the two models."""

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


@dataclass(frozen=True)
class Pair:
    """What both models say of the same images; the second has the difference."""

    first: EvaluationDetail
    second: EvaluationDetail

    @property
    def verdict(self) -> str:
        """Which is better, as the key of a text: only if the interval of the difference has 0 outside."""
        compared = self.second.compared
        assert compared is not None
        return "second" if compared.low > 0 else "first" if compared.high < 0 else "neither"

    @property
    def classes(self) -> list[tuple[str, int, float | None, float | None]]:
        """Every class that has images, with their number and the recall of both; None where a model lacks the class."""
        sides = [{one.label: one for one in side.per_class if one.support} for side in (self.first, self.second)]
        labels = dict.fromkeys([*sides[0], *sides[1]])
        recalls = [[side[label].recall if label in side else None for side in sides] for label in labels]
        numbers = [next(side[label].support for side in sides if label in side) for label in labels]
        return [(label, number, *pair) for label, number, pair in zip(labels, numbers, recalls, strict=True)]  # type: ignore[misc]


@router.get("")
def show_comparison(
    request: Request, context: RequestContextDep, model: ModelsQuery = None, evaluation: str | None = None
) -> Response:
    """Show two models side by side, the older one first; `evaluation` is that of the second, on images that both have seen."""
    references = list(dict.fromkeys(model or []))
    if len(references) != 2:
        return render(request, "compare-choose.html.jinja", context, num_chosen=len(references))
    with context.readers() as session:
        found = [ModelRepository(session).resolve(reference) for reference in references]
        # In one order, whichever was ticked first, so that what was measured before is found again.
        rows = sorted(found, key=lambda row: (row.created_at, row.id))
        listed = _common_evaluations(session, rows[0].id, rows[1].id)
        pair = _pair(session, rows, evaluation) if evaluation else None
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
        pair=pair,
        may_train=Scope.TRAIN in context.caller.scopes,
        max_images=context.settings.limits.max_evaluation_images,
    )


async def _form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.evaluations.check()
    limits = query_images.evaluation_limits(context.settings.limits)
    async with received_form(request, replace(limits, max_parts=limits.max_parts + NUM_TEXTS)) as form:
        yield form


@router.post("", dependencies=CHANGES)
async def compare(request: Request, form: Annotated[SpooledForm, Depends(_form)], context: RequestContextDep) -> Response:
    """Let both models classify the images of a form, as browsers without scripts send it."""
    check_upload(request, form)
    references = [part.text for part in form.texts if part.field_name == "model"][:2]
    name = display_name(next((part.text for part in form.texts if part.field_name == "name"), ""))
    form.parts = [part for part in form.files if part.file_name or part.size_bytes]
    models = await run_in_threadpool(service.find_models, context, references)
    number = await run_in_threadpool(service.count_work, context, models, form)
    wanted = service.Wanted(Asked(DEFAULT_COVERAGE, None), name, keep_images=False)
    measure = partial(service.evaluate_models, context, models, wanted, form, utc_now())
    done = await context.bounds.evaluations.run(number, measure)
    return go_to(_address(references, done.rows[-1].id))


@router.post("/delete", dependencies=CHANGES)
def delete_comparison(context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete what two models said of the same images."""
    references = [fields.get("one", ""), fields.get("other", "")]
    with context.readers() as session:
        pair = _rows(session, references[0], fields.get("evaluation", ""))
        ids = [row.id for row in pair]
    for evaluation_id in ids:
        service.delete_evaluation(context, evaluation_id)
    return go_to(_address(references))


def _address(references: list[str], evaluation_id: str | None = None) -> str:
    chosen = {"model": references, **({"evaluation": evaluation_id} if evaluation_id else {})}
    return f"{HERE}?{urlencode(chosen, doseq=True)}"


def _common_evaluations(session: Session, first_id: str, second_id: str) -> list[EvaluationDetail]:
    """Return the evaluations of the second model that were made together with one of the first, newest first."""
    rows, _ = EvaluationRepository(session).list_page(second_id, None, MOST_LISTED)
    found = [answers.detail(row, []) for row in rows]
    return [one for one in found if one.compared is not None and one.compared.model == first_id]


def _pair(session: Session, models: list[ModelRow], evaluation_id: str) -> Pair | None:
    """Return what both models say of the same images; None if the evaluation is not of the second beside the first."""
    first, second = models
    rows = _rows(session, first.id, evaluation_id)
    details = [answers.detail(row, []) for row in rows]
    compared = details[-1].compared
    if len(rows) < 2 or rows[-1].model_id != second.id or compared is None or compared.model != first.id:
        return None
    return Pair(*details)


def _rows(session: Session, first_id: str, evaluation_id: str) -> list[EvaluationRow]:
    """Return the evaluations of both models on the same images; without the first one if it was deleted."""
    repository = EvaluationRepository(session)
    second = repository.get(evaluation_id)
    of_first, _ = repository.list_page(first_id, None, MOST_LISTED)
    same = [row for row in of_first if row.data_sha256 == second.data_sha256]
    same.sort(key=lambda row: abs(row.created_at - second.created_at))
    return [*same[:1], second]
