"""Write the answers of /v1/predictions."""

from __future__ import annotations

from app.batches.schemas import BatchAnswer, BatchLinks
from app.domain.batches import BatchState
from app.infra.tables import BatchRow
from app.jobs.schemas import JobFailure

PREFIX = "/v1/predictions"
"""Path of all batches."""


def answer(row: BatchRow) -> BatchAnswer:
    """Return the answer for one batch."""
    here = f"{PREFIX}/{row.id}"
    result = f"{here}/result" if row.state == BatchState.SUCCEEDED else None
    return BatchAnswer(
        id=row.id,
        name=row.name,
        state=BatchState(row.state),
        model_id=row.model_id,
        coverage=row.coverage,
        false_rejects=row.false_rejects,
        total=row.num_images,
        done=row.num_done,
        refused=row.num_refused,
        seconds_left=_seconds_left(row),
        error=JobFailure(**row.error) if row.error else None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        links=BatchLinks(
            self=here,
            model=f"/v1/models/{row.model_id}",
            cancel=f"{here}/cancel",
            result=result,
            csv=f"{result}?format=csv" if result else None,
        ),
    )


def _seconds_left(row: BatchRow) -> float | None:
    if BatchState(row.state).is_final or row.started_at is None or row.progressed_at is None or not row.num_done:
        return None
    seconds_an_image = (row.progressed_at - row.started_at).total_seconds() / row.num_done
    return round(seconds_an_image * (row.num_images - row.num_done), 1)
