"""The page of a model: what to expect of it, and where it errs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from app.dependencies import ReadSessionDep, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import GoneError
from app.domain.jobs import JobState
from app.exports.views import export_views
from app.infra.export_repository import ExportRepository
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow, ModelRow, SupportImageRow
from app.models import service
from app.models.endpoints import ModelReference
from app.pages.measured import evaluations_of
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.result_view import FIRST_MISTAKES, make_result
from vtt_core.contract.backbones import catalogue
from vtt_core.contract.serving import DEFAULT_FALSE_REJECTS

router = APIRouter(prefix="/models", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

FALSE_REJECTS = (0.001, 0.01, DEFAULT_FALSE_REJECTS, 0.1, 0.25)
"""How readily a model may say "none of these", from hardly ever to quickly: false rejects that a person can choose."""

LATEST_MEASURED = 3
"""Measurements on photographs with known classes that the page names."""


@router.get("/{model}")
def show_model(
    model: ModelReference, request: Request, context: RequestContextDep, session: ReadSessionDep, saved: str = ""
) -> Response:
    """Show what is known of a model; `saved` names the form just sent. A replaced interim model leads to its successor."""
    try:
        row, aliases = service.find_model(session, model)
    except GoneError:
        successor = _successor(session, model)
        if successor is None:
            raise
        return go_to(f"/models/{successor}")
    job = JobRepository(session).get_even_deleted(row.job_id)
    may_change = Scope.TRAIN in context.caller.scopes
    return render(
        request,
        "result.html.jinja",
        context,
        model=row,
        aliases=aliases,
        job=job,
        is_job_over=JobState(job.state).is_final,
        set_name=SupportSetRepository(session).names({job.support_set_id}).get(job.support_set_id),
        result=make_result(row, _images(session, job) if may_change else []),
        first_mistakes=FIRST_MISTAKES,
        may_change=may_change,
        false_rejects=_choices(row),
        measured=evaluations_of(session, row.id, LATEST_MEASURED),
        image_side=_image_side(row.backbone_id),
        saved=saved,
        exports=export_views(row, ExportRepository(session).of_model(row.id)),
    )


def _successor(session: Session, model_id: str) -> str | None:
    """Return the id of the model that has replaced an interim one and still exists."""
    row = session.get(ModelRow, model_id)
    final_id = ModelRepository(session).ids_by_job([row.job_id]).get(row.job_id) if row is not None and row.is_interim else None
    final = None if final_id is None else session.get(ModelRow, final_id)
    return None if final is None or final.deleted_at is not None else final.id


def _images(session: Session, job: JobRow) -> list[SupportImageRow]:
    return SupportSetRepository(session).images(job.support_set_id)


def _image_side(backbone_id: str) -> int | None:
    """Return the side to which a backbone scales images, in pixels; None for one that is not in the catalogue."""
    return next((entry.image_side_pixels for entry in catalogue() if entry.backbone_id == backbone_id), None)


def _choices(row: ModelRow) -> list[tuple[float, bool]]:
    """Return the false rejects to choose from, and whether each is the model's; one that was set elsewhere is among them."""
    current = DEFAULT_FALSE_REJECTS if row.false_rejects is None else row.false_rejects
    return [(share, share == current) for share in sorted({*FALSE_REJECTS, current})]
