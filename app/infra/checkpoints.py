"""Know where checkpoints are stored, and remove those of ended jobs."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import BlobMissingError
from app.domain.jobs import FINAL_STATES
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.tables import JobRow, ModelRow

_JOBS = "jobs"
_DRAFT = "adapter_key"
_IDS_IN_STATEMENT = 500


def checkpoint_key(job_id: str) -> str:
    """Return the key of the job's checkpoint."""
    return f"{_JOBS}/{job_id}/checkpoint.safetensors"


def note_draft(store: ObjectStore, job_id: str, model_id: str, adapter_key: str) -> None:
    """Note where the files of an adapter will be, so that they are found if the worker dies before it adds the model row."""
    store.put(f"{_drafts(job_id)}/{model_id}/{_DRAFT}", adapter_key.encode())


def clear_job(store: ObjectStore, job_id: str, model_ids: Collection[str]) -> None:
    """Remove the checkpoint of an ended job, and the files of models that it never published or that were deleted.

    Args:
        store: holds the files.
        job_id: of the job.
        model_ids: models of the job that exist.

    Raises:
        StoreUnavailableError: the store does not answer. Calling again removes the rest.
    """
    for model_id in store.folders(_drafts(job_id)):
        if model_id not in model_ids:
            with suppress(BlobMissingError):
                store.delete_prefix(store.get(f"{_drafts(job_id)}/{model_id}/{_DRAFT}").decode())
    store.delete_prefix(f"{_JOBS}/{job_id}")


def clear_ended_jobs(session_factory: SessionFactory, store: ObjectStore) -> list[str]:
    """Remove the files that ended jobs have left in the store because their workers could not remove them.

    Only unfinished jobs have files there, so the listing is short.

    Returns:
        Ids of the jobs whose files were removed.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    # Listed before the rows are read, so that files which an unfinished job adds meanwhile are left alone.
    found = store.folders(_JOBS)
    cleared = []
    for start in range(0, len(found), _IDS_IN_STATEMENT):
        ids = found[start : start + _IDS_IN_STATEMENT]
        with session_factory() as session:
            ended = list(session.scalars(select(JobRow.id).where(JobRow.id.in_(ids), JobRow.state.in_(FINAL_STATES))))
            kept = models_of(session, ended)
        for job_id in ended:
            clear_job(store, job_id, kept)
            cleared.append(job_id)
    return cleared


def models_of(session: Session, job_ids: Collection[str]) -> set[str]:
    """Return the ids of the models of some jobs that were not deleted, whoever owns them."""
    return set(session.scalars(select(ModelRow.id).where(ModelRow.job_id.in_(job_ids), ModelRow.deleted_at.is_(None))))


def _drafts(job_id: str) -> str:
    return f"{_JOBS}/{job_id}/drafts"
