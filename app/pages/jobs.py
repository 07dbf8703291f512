"""The pages of jobs: a list, and the page that follows one job until its model is there."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from app.dependencies import CursorQuery, ReadSessionDep, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.jobs import MAX_ATTEMPTS, JobState
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow
from app.jobs import service
from app.jobs.answers import answer
from app.jobs.endpoints import JobId
from app.jobs.schemas import JobAnswer
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.visits import FieldsDep

router = APIRouter(prefix="/jobs", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(Scope.TRAIN)])

PAGE_JOBS = 30


@router.get("")
def show_jobs(request: Request, context: RequestContextDep, session: ReadSessionDep, cursor: CursorQuery = None) -> Response:
    """List the jobs, newest first."""
    rows, next_cursor = JobRepository(session).list_page(cursor, PAGE_JOBS)
    jobs, set_names = _answers(session, rows), SupportSetRepository(session).names({row.support_set_id for row in rows})
    return render(
        request, "jobs.html.jinja", context, jobs=jobs, set_names=set_names, next_cursor=next_cursor, is_first=not cursor
    )


@router.get("/{job_id}")
def show_job(job_id: JobId, request: Request, context: RequestContextDep, session: ReadSessionDep) -> Response:
    """Show how far a job is, and follow it where the browser runs scripts."""
    [job] = _answers(session, [JobRepository(session).get(job_id)])
    return render(
        request,
        "watch.html.jinja",
        context,
        job=job,
        stage=stage_of(job),
        set_name=SupportSetRepository(session).names({job.support_set_id}).get(job.support_set_id),
        max_attempts=MAX_ATTEMPTS,
    )


@router.post("/{job_id}/cancel")
def cancel_job(job_id: JobId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Cancel a job."""
    service.cancel_job(context, job_id, utc_now())
    return go_to(f"/jobs/{job_id}")


@router.post("/{job_id}/again")
def start_again(job_id: JobId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Start a job like one that has failed or was cancelled, on the same images."""
    with context.readers() as session:
        request = service.same_request(JobRepository(session).get(job_id))
    job, _ = service.create_job(context, request, None, utc_now())
    return go_to(f"/jobs/{job.id}")


@router.post("/{job_id}/delete")
def delete_job(job_id: JobId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete a job that has ended; its model stays."""
    service.delete_job(context, job_id, utc_now())
    return go_to("/jobs")


def stage_of(job: JobAnswer) -> str:
    """Return the key of the text that says what a job does now; `job-watch.js` has the same rule."""
    if job.state.is_final:
        return job.state.value
    if job.is_cancel_requested:
        return "cancelling"
    if job.state is JobState.RUNNING:
        return {None: "starting", "validation": "validation", "fine-tuning": "learning"}[job.phase]
    return job.state.value


def _answers(session: Session, rows: list[JobRow]) -> list[JobAnswer]:
    models = service.models_of(session, rows)
    return [answer(row, models[row.id]) for row in rows]
