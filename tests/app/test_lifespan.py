"""What a process opens is closed in the end."""

from __future__ import annotations

import threading

import pytest

from app.infra.settings import Role, Settings
from app.lifespan import open_context
from tests.fixtures.http_api import FakeEngine


def reapers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reaper"]


@pytest.mark.parametrize(
    ("role", "num_reapers", "predicts"), [(Role.ALL, 1, True), (Role.CONTROL, 1, False), (Role.PREDICT, 0, True)]
)
def test_a_role_starts_its_threads_and_stops_them(settings: Settings, role: Role, num_reapers: int, predicts: bool) -> None:
    engine = FakeEngine()
    with open_context(settings.model_copy(update={"role": role}), lambda _: engine) as context:
        assert len(reapers()) == num_reapers
        assert (context.predictor is not None) == predicts
    assert reapers() == []
    assert engine.is_closed == predicts


def test_tables_are_made_at_the_start(settings: Settings, tmp_path) -> None:
    fresh = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'fresh.sqlite'}", "role": Role.CONTROL})
    with open_context(fresh, lambda _: FakeEngine()) as context, context.readers() as session:
        from app.infra.job_repository import JobRepository

        assert JobRepository(session).list_page(None, 1) == ([], None)
