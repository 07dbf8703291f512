"""Model rows and aliases, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from app.domain.errors import GoneError, ModelNotReadyError, NotFoundError
from app.domain.jobs import JobState
from app.infra.database import SessionFactory
from app.infra.model_repository import ModelRepository
from app.infra.tables import JobRow, ModelRow


@pytest.fixture
def session(session_factory: SessionFactory):
    with session_factory.begin() as session:
        yield session


@pytest.fixture
def repository(session: Session) -> ModelRepository:
    return ModelRepository(session)


@pytest.fixture
def model_id(session: Session, job_id: str, now: datetime) -> str:
    session.add(
        ModelRow(
            id="mdl_1",
            job_id=job_id,
            name="",
            backbone_id="mini",
            backbone_sha256="0" * 64,
            labels=["cat", "dog"],
            recipe={},
            metrics={},
            adapter_key="models/mdl_1",
            adapter_bytes=1,
            created_at=now,
        )
    )
    session.flush()
    return "mdl_1"


def test_a_model_is_found_by_id_alias_and_job(repository: ModelRepository, model_id: str, job_id: str, now: datetime) -> None:
    repository.point_alias("current", model_id, now)
    assert {repository.resolve(reference).id for reference in (model_id, "current", job_id)} == {model_id}
    assert repository.ids_by_job([job_id, "job_x"]) == {job_id: model_id}
    assert repository.count() == 1


def test_an_alias_is_moved_and_listed_in_order(repository: ModelRepository, model_id: str, now: datetime) -> None:
    later = now + timedelta(hours=1)
    for name in ("b", "a", "b"):
        row = repository.point_alias(name, model_id, later)
    assert row.updated_at == later
    assert repository.aliases([model_id, "mdl_x"]) == {model_id: ["a", "b"]}


def test_a_deleted_model_is_gone_under_every_name(
    repository: ModelRepository, model_id: str, job_id: str, now: datetime
) -> None:
    repository.point_alias("current", model_id, now)
    repository.delete(model_id, now)
    for reference in (model_id, "current", job_id):
        with pytest.raises(GoneError):
            repository.resolve(reference)
    for refused in (lambda: repository.delete(model_id, now), lambda: repository.point_alias("x", model_id, now)):
        with pytest.raises(GoneError):
            refused()
    assert repository.list_page(None, 5) == ([], None)
    assert repository.count() == 0


def test_unknown_names_are_not_found(repository: ModelRepository, now: datetime) -> None:
    for reference in ("mdl_nothing", "nothing", "job_nothing"):
        with pytest.raises(NotFoundError):
            repository.resolve(reference)
    with pytest.raises(NotFoundError):
        repository.point_alias("x", "mdl_nothing", now)


@pytest.mark.parametrize(
    ("state", "remedy"), [(JobState.QUEUED, "events"), (JobState.RUNNING, "events"), (JobState.FAILED, "See why")]
)
def test_a_job_without_a_model_says_its_state(
    repository: ModelRepository, session: Session, job_id: str, state: JobState, remedy: str
) -> None:
    job = session.get(JobRow, job_id)
    assert job is not None
    job.state = state
    session.flush()
    with pytest.raises(ModelNotReadyError, match=remedy) as caught:
        repository.resolve(job_id)
    assert state in caught.value.got
