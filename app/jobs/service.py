"""Create, show, cancel and delete jobs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.access.quotas import check_jobs
from app.backbones.service import check_reachable
from app.dependencies import AppContext
from app.domain.errors import InvalidRequestError
from app.domain.jobs import JobState
from app.domain.messages import FinetuneMessage
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.outbox import send_after_commit
from app.infra.support_set_repository import SupportSetRepository, check_not_deleted
from app.infra.tables import JobRow, SupportSetRow
from app.infra.telemetry import bound_request_id
from app.infra.tracing import current_traceparent
from app.jobs.schemas import JobRequest
from vtt_core.contract.backbones import check_catalogue_id
from vtt_core.contract.errors import EmptyClassError
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import check_shape
from vtt_core.labels.checks import LabelReader, label_problems, raise_problems


@dataclass(frozen=True)
class JobModels:
    """What is known of a job beyond its row: its models, and its place in the queue."""

    final_id: str | None = None
    """Of the model, once it has succeeded."""
    interim_id: str | None = None
    """Of the model before that, where a fine-tuning takes its time."""
    queue_place: int | None = None
    """1 for the job that is next; None unless it waits."""


def create_job(
    context: AppContext, request: JobRequest, idempotency_key: str | None, now: datetime
) -> tuple[JobRow, JobModels]:
    """Queue a job and freeze its support set; the message to the workers is sent after the commit.

    Returns:
        The job and its models: a repeated Idempotency-Key with the same request returns the first job, which may have
        published some by now.

    Raises:
        UnknownBackboneError: no backbone has the id.
        BackboneUnavailableError: no live worker has its weights or can get them.
        RecipeError: a hyper-parameter is unknown or outside its range.
        NotFoundError: there is no such support set.
        GoneError: the support set was deleted, or the job that was created with the key.
        SupportSetError: it has an empty class, too few or too many classes or images, or labels that the backbone reads as
            the same or not in full.
        IdempotencyConflictError: the key came before with another request.
        QuotaExceededError: the tenant has too many unfinished jobs.
        DiskFullError: there is no room for what a job writes.
    """
    backbone_id = request.backbone or context.settings.default_backbone
    new_job = NewJob(
        support_set_id=request.support_set_id,
        backbone_id=backbone_id,
        recipe=_recipe(request, backbone_id),
        seed=request.seed,
        name=request.name,
        idempotency_key=idempotency_key,
        request_sha256=_digest(request),
        request_id=bound_request_id(),
        traceparent=current_traceparent(),
    )
    if backbone_id != context.settings.default_backbone:  # the operator's choice, which may be a local file
        check_catalogue_id(backbone_id)
    check_reachable(context.workers, backbone_id)
    with context.sessions.begin() as session:
        support_sets = SupportSetRepository(session)
        # Locked before the insert: the foreign key takes a weaker lock, and two requests that both upgrade theirs would
        # deadlock.
        row = support_sets.lock(request.support_set_id)
        job, is_new = JobRepository(session).create(new_job, now)
        if is_new:
            _check_and_send(context, session, job, row, now)
        return job, models_of(session, [job])[job.id]


def add_job(context: AppContext, session: Session, new_job: NewJob, support_set: SupportSetRow, now: datetime) -> JobRow:
    """Queue a job in a transaction of the caller's, and freeze its support set; the message is sent after the commit.

    Args:
        context: of the caller.
        session: of the transaction.
        new_job: what to learn. Its idempotency key may have come with the same request before; then that job is returned,
            which has another support set.
        support_set: made or locked in this transaction.
        now: the present moment.

    Raises:
        SupportSetError: as `create_job`.
        IdempotencyConflictError: the key came before with another request.
        GoneError: the job that was created with the key was deleted.
        QuotaExceededError: the tenant has too many unfinished jobs.
        DiskFullError: there is no room for what a job writes.
    """
    job, is_new = JobRepository(session).create(new_job, now)
    if is_new:
        _check_and_send(context, session, job, support_set, now)
    return job


def _check_and_send(context: AppContext, session: Session, job: JobRow, support_set: SupportSetRow, now: datetime) -> None:
    support_sets, reader = SupportSetRepository(session), LabelReader(job.backbone_id, FinetuneRecipe.from_json(job.recipe))
    context.disk.check_room()
    _check_learnable(context, support_sets, support_set, reader)
    support_sets.freeze(support_set, now)
    check_jobs(session, context.caller)
    send_after_commit(session, context.queue, FinetuneMessage(job.id))


def cancel_job(context: AppContext, job_id: str, now: datetime) -> tuple[JobRow, JobModels]:
    """End a waiting job at once, and tell the worker of a running one to stop at its next step.

    Raises:
        NotFoundError: there is no such job.
        GoneError: it was deleted.
        JobTransitionError: it has succeeded or failed.
    """
    with context.sessions.begin() as session:
        job = JobRepository(session).request_cancel(job_id, now)
        return job, models_of(session, [job])[job.id]


def delete_job(context: AppContext, job_id: str, now: datetime) -> None:
    """Delete a job that has ended, with its events; the models that it published stay.

    Raises:
        NotFoundError: there is no such job.
        GoneError: it was deleted before.
        JobTransitionError: it has not ended.
    """
    with context.sessions.begin() as session:
        JobRepository(session).delete(job_id, now)


def models_of(session: Session, jobs: list[JobRow]) -> dict[str, JobModels]:
    """Return the models that these jobs have published and their places in the queue, by the jobs' ids."""
    repository = ModelRepository(session)
    final_ids = repository.ids_by_job(job.id for job in jobs if job.state == JobState.SUCCEEDED)
    interim_ids = repository.interim_ids_by_job(job.id for job in jobs if job.state != JobState.SUCCEEDED)
    waiting = [job.id for job in jobs if job.state == JobState.QUEUED]
    places = JobRepository(session).queue_places(waiting) if waiting else {}
    return {job.id: JobModels(final_ids.get(job.id), interim_ids.get(job.id), places.get(job.id)) for job in jobs}


def same_request(job: JobRow) -> JobRequest:
    """Return the request that makes a job like this one."""
    recipe = FinetuneRecipe.from_json(job.recipe).to_json()
    return JobRequest(
        support_set_id=job.support_set_id,
        backbone=job.backbone_id,
        method=recipe.pop("method"),
        recipe=recipe,
        seed=job.seed,
        name=job.name,
    )


def _recipe(request: JobRequest, backbone_id: str) -> FinetuneRecipe:
    in_recipe = request.recipe.get("method", request.method)
    if in_recipe != request.method and "method" in request.model_fields_set:
        raise InvalidRequestError(
            expected="one method",
            got=f"{request.method!r} as method and {in_recipe!r} in the recipe",
            remedy="Leave it out of the recipe",
        )
    method = in_recipe if isinstance(in_recipe, str) else request.method
    return make_recipe(method, request.preset, request.recipe, backbone_id=backbone_id)


def _digest(request: JobRequest) -> str:
    sent: dict[str, Any] = request.model_dump(mode="json")
    return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()


def _check_learnable(context: AppContext, support_sets: SupportSetRepository, row: SupportSetRow, reader: LabelReader) -> None:
    check_not_deleted(row)
    if row.empty_labels:
        raise EmptyClassError(
            expected="at least one usable image in every class",
            got=f"none in {', '.join(map(repr, row.empty_labels[:5]))}",
            remedy=(
                f"Add an image with POST /v1/support-sets/{row.id}/images, "
                f"or leave the class out with DELETE /v1/support-sets/{row.id}/classes?label=..."
            ),
        )
    shots = support_sets.shots([row.id]).get(row.id, {})
    if row.negative_label is not None:
        shots.pop(row.negative_label, None)  # no class of the model, and no prompt says its label
    check_shape(shots, context.settings.limits)
    raise_problems(label_problems(shots, reader))
