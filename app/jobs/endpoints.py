"""Answer /v1/jobs."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.dependencies import CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    DiskFullError,
    GoneError,
    IdempotencyConflictError,
    JobTransitionError,
    MalformedRequestError,
    NotFoundError,
    QuotaExceededError,
    RequestTooLargeError,
    TooManyFollowersError,
    UnsupportedMediaTypeError,
)
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.jobs import service
from app.jobs.answers import PREFIX, answer
from app.jobs.event_route import EventRoute
from app.jobs.events import follow
from app.jobs.schemas import JobAnswer, JobPage, JobRequest
from app.problem_details import problem_responses
from vtt_core.contract.errors import (
    BackboneUnavailableError,
    BadLabelError,
    EmptyClassError,
    RecipeError,
    SameTokensError,
    SeveralProblemsError,
    TooFewClassesError,
    TooManyClassesError,
    UnknownBackboneError,
)

router = APIRouter(prefix=PREFIX, tags=["jobs"], dependencies=[require_scope(Scope.TRAIN)], route_class=EventRoute)

JobId = Annotated[str, id_parameter("Id of a job")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Any text that identifies this request, so that sending it twice starts one job",
    ),
]


def _known_job_id(job_id: JobId, session: ReadSessionDep) -> str:
    return JobRepository(session).get(job_id).id


async def _count_stream(context: RequestContextDep) -> AsyncIterator[None]:
    with context.hub.place(context.caller.tenant_id):
        yield


@router.post(
    "",
    status_code=202,
    responses=problem_responses(
        NotFoundError,
        GoneError,
        QuotaExceededError,
        DiskFullError,
        IdempotencyConflictError,
        MalformedRequestError,
        UnsupportedMediaTypeError,
        RequestTooLargeError,
        UnknownBackboneError,
        BackboneUnavailableError,
        RecipeError,
        EmptyClassError,
        TooFewClassesError,
        TooManyClassesError,
        BadLabelError,
        SameTokensError,
        SeveralProblemsError,
    ),
)
def create_job(
    request: JobRequest,
    context: RequestContextDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobAnswer:
    """Learn a model from a support set.

    The answer comes at once (202); `Location` names the job. `method` says how it is learnt; without it, the job publishes
    what is best by its own measurements. Its first job freezes a support set. The set needs two classes,
    and an image in every class that was named. The backbone must be able to read every label in full, and to tell it from the
    other labels. `recipe` changes single hyper-parameters of the preset, for example `{"iterations": 100}`.

    With an `Idempotency-Key`, the same request sent again returns the same job; another request with that key is refused (409).
    After the job was deleted, the key answers 410.
    """
    job, models = service.create_job(context, request, idempotency_key, utc_now())
    response.headers["Location"] = f"{router.prefix}/{job.id}"
    return answer(job, models)


@router.get("", responses=problem_responses(BadCursorError))
def list_jobs(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> JobPage:
    """List the jobs, newest first, a page at a time."""
    rows, next_cursor = JobRepository(session).list_page(cursor, limit)
    models = service.models_of(session, rows)
    return JobPage(items=[answer(row, models[row.id]) for row in rows], next_cursor=next_cursor)


@router.get("/{job_id}", responses=problem_responses(NotFoundError, GoneError))
def get_job(job_id: JobId, session: ReadSessionDep) -> JobAnswer:
    """Show a job: its state, its progress and its losses.

    States: `queued`, `running`, `verifying`, then `succeeded` (with `model_id`), `failed` (with `error`) or `cancelled`.
    While a fine-tuning runs, `interim_model_id` names a model that already predicts: a classifier on the unchanged backbone.
    The job's own model replaces it; without one, it stays.
    """
    row = JobRepository(session).get(job_id)
    return answer(row, service.models_of(session, [row])[row.id])


@router.post("/{job_id}/cancel", status_code=202, responses=problem_responses(NotFoundError, GoneError, JobTransitionError))
def cancel_job(job_id: JobId, context: RequestContextDep) -> JobAnswer:
    """Cancel a job. A queued one ends at once, a running one at its next step; one that has ended answers 409."""
    return answer(*service.cancel_job(context, job_id, utc_now()))


@router.delete("/{job_id}", status_code=204, responses=problem_responses(NotFoundError, GoneError, JobTransitionError))
def delete_job(job_id: JobId, context: RequestContextDep) -> None:
    """Delete a job that has ended, with its events; from then on it answers 410. One that has not ended answers 409: cancel it.

    The models that it published stay. Their `job_id` and the link to the job stay too, and answer 410 as well.
    """
    service.delete_job(context, job_id, utc_now())


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(_count_stream)],
    responses=problem_responses(NotFoundError, GoneError, TooManyFollowersError),
)
async def follow_job(
    job_id: Annotated[str, Depends(_known_job_id)],
    context: RequestContextDep,
    last_event_id: Annotated[
        int, Header(ge=0, le=2**31 - 1, description="Id of the last event that you have seen; those after it follow")
    ] = 0,
) -> AsyncIterable[ServerSentEvent]:
    """Follow a job as server-sent events, from its beginning or from `Last-Event-ID`.

    `state` events carry `state` and `attempt` (the last one also `model_id` or `error`); `progress` events carry phase,
    step, losses, the gradients' cosine and the seconds left; `interim_model` carries `interim_model_id`. A job that fine-
    tunes nothing sends only `state`. The stream ends after the final state. If the connection is lost before that,
    reconnect with the last id. `curl -N` shows the stream. With an id beyond the last event, the stream waits for the next
    event; a job that has ended sends its final state again.
    """
    async for event in follow(context, job_id, last_event_id):
        yield event
