"""Give the tests a support set row and a job on it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.tables import SupportSetRow
from vtt_core.contract.recipe import FinetuneRecipe

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def new_job(session_factory: SessionFactory) -> NewJob:
    with session_factory.begin() as session:
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=NOW))
    return NewJob("set_1", "mini", FinetuneRecipe(iterations=10), seed=1, request_sha256="0" * 64)


@pytest.fixture
def job_id(session_factory: SessionFactory, new_job: NewJob) -> str:
    """A queued job."""
    with session_factory.begin() as session:
        return JobRepository(session).create(new_job, NOW)[0].id
