from datetime import datetime
from pathlib import Path

import pytest

from app.infra.checkpoints import checkpoint_key, clear_ended_jobs, clear_job, note_draft
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.object_store import ObjectStore


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/blobs" if request.param == "file" else f"memory://{tmp_path.name}")


def test_the_files_of_a_job_are_removed_once_it_has_ended(
    store: ObjectStore, session_factory: SessionFactory, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        ended, waiting = (JobRepository(session).create(new_job, now)[0].id for _ in range(2))
    for job_id in (ended, waiting):
        store.put(checkpoint_key(job_id), b"1")
        note_draft(store, job_id, f"mdl_{job_id}", f"models/mdl_{job_id}")
        store.put(f"models/mdl_{job_id}/manifest.json", b"1")
    assert clear_ended_jobs(session_factory, store) == []
    with session_factory.begin() as session:
        JobRepository(session).request_cancel(ended, now)
    assert clear_ended_jobs(session_factory, store) == [ended]
    assert clear_ended_jobs(session_factory, store) == []
    assert store.folders("jobs") == [waiting]
    assert store.folders("models") == [f"mdl_{waiting}"]


def test_the_published_model_stays_and_drafts_are_removed(store: ObjectStore) -> None:
    for model_id in ("mdl_1", "mdl_2", "mdl_3"):
        note_draft(store, "job_1", model_id, f"models/{model_id}")
    for model_id in ("mdl_1", "mdl_2"):
        store.put(f"models/{model_id}/manifest.json", b"1")
    clear_job(store, "job_1", {"mdl_1"})
    assert store.folders("models") == ["mdl_1"]
    assert store.folders("jobs") == []
