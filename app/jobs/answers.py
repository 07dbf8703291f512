"""Write the answers of /v1/jobs."""

from __future__ import annotations

from typing import Any

from app.domain.jobs import JobState
from app.infra.tables import JobRow
from app.jobs.schemas import JobAnswer, JobFailure, JobLinks
from app.jobs.service import JobModels

PREFIX = "/v1/jobs"
"""Path of all jobs."""


def answer(row: JobRow, models: JobModels) -> JobAnswer:
    """Return the answer for one job."""
    return JobAnswer(**fields(row, models))


def fields(row: JobRow, models: JobModels) -> dict[str, Any]:
    """Return the fields of a `JobAnswer`."""
    progress: dict[str, Any] = row.progress or {}
    state = JobState(row.state)
    here = f"{PREFIX}/{row.id}"
    return {
        "id": row.id,
        "name": row.name,
        "state": state,
        "support_set_id": row.support_set_id,
        "backbone": row.backbone_id,
        "method": row.recipe["method"],
        "recipe": row.recipe,
        "seed": row.seed,
        "base_model_id": row.base_model_id,
        "attempt": row.attempt,
        "queue_place": models.queue_place,
        "phase": progress.get("phase"),
        "step": row.step,
        "num_steps": row.num_steps,
        "classification_loss": progress.get("classification_loss"),
        "absorption_loss": progress.get("absorption_loss"),
        "conflict_cosine": progress.get("conflict_cosine"),
        "is_absorbing": progress.get("is_absorbing"),
        "absorption_stopped_at": progress.get("absorption_stopped_at"),
        "seconds_left": None if state.is_final else progress.get("seconds_left"),
        "is_cancel_requested": row.is_cancel_requested,
        "error": JobFailure(**row.error) if row.error else None,
        "model_id": models.final_id,
        "interim_model_id": models.interim_id,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "links": JobLinks(
            self=here,
            events=f"{here}/events",
            cancel=f"{here}/cancel",
            support_set=f"/v1/support-sets/{row.support_set_id}",
            model=_model_link(models.final_id),
            interim_model=_model_link(models.interim_id),
            base_model=_model_link(row.base_model_id),
        ),
    }


def _model_link(model_id: str | None) -> str | None:
    return f"/v1/models/{model_id}" if model_id else None
