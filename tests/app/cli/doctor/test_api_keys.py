"""Keys that are missing, ended or about to end, in real databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.cli.doctor.api_keys import check_keys
from app.cli.doctor.findings import Condition
from app.domain.access import Scope
from app.infra.access_repository import AccessRepository
from app.infra.clock import utc_now
from app.infra.database import make_engine, make_session_factory
from app.infra.settings import Settings


def add_keys(settings: Settings, *days: float | None, scopes: frozenset[Scope] = frozenset(Scope)) -> list[str]:
    """Make a key for each number of days that it is valid; return their ids."""
    engine = make_engine(settings.resolved_database_url)
    with make_session_factory(engine).begin() as session:
        access = AccessRepository(session)
        tenant = access.ensure_tenant("clinic", utc_now())
        ends = [None if one is None else utc_now() + timedelta(days=one) for one in days]
        made = [access.create_key(tenant.id, "", scopes, utc_now(), end).key_id for end in ends]
    engine.dispose()
    return made


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """Keys are required; there is a database of SQLite without any."""
    return Settings(data_dir=tmp_path, database_url=sqlite_url, require_keys=True)


def said(settings: Settings) -> list[tuple[Condition, str]]:
    return [(found.condition, found.detail) for found in check_keys(settings)]


def test_a_service_that_needs_keys_and_has_none_is_a_problem(settings: Settings, tmp_path: Path) -> None:
    missing = [(Condition.PROBLEM, "every request needs a key, and there is none")]
    assert said(settings) == missing
    nowhere = settings.model_copy(update={"database_url": "", "data_dir": tmp_path / "not-yet"})
    assert said(nowhere) == missing
    assert [path.name for path in tmp_path.iterdir()] == ["vtt.sqlite"]


def test_keys_that_have_all_ended_are_a_problem(settings: Settings) -> None:
    *_, last = add_keys(settings, -1, -2, None)
    engine = make_engine(settings.resolved_database_url)
    with make_session_factory(engine).begin() as session:
        AccessRepository(session).revoke_key(last, utc_now())
    engine.dispose()
    assert said(settings) == [(Condition.PROBLEM, "every request needs a key, and none of them is valid: 2 expired, 1 revoked")]


def test_a_key_that_ends_soon_is_named(settings: Settings) -> None:
    _, soon, _ = add_keys(settings, None, 3, -1)
    (fine, detail), (condition, about) = said(settings)
    assert (fine, detail) == (Condition.OK, "2 valid, 1 expired")
    assert condition is Condition.NOTE
    assert about.startswith(f"{soon} of clinic expires on ")


def test_a_scope_that_no_key_has_is_named(settings: Settings) -> None:
    add_keys(settings, None, scopes=frozenset({Scope.PREDICT}))
    assert said(settings) == [(Condition.OK, "1 valid"), (Condition.NOTE, "no valid key may train")]


def test_keys_that_nothing_asks_for_are_a_note(settings: Settings) -> None:
    unasked = settings.model_copy(update={"require_keys": False})
    assert said(unasked) == []
    add_keys(settings, None)
    assert said(unasked) == [(Condition.NOTE, "there are 1, and no request needs one")]


@pytest.mark.services
def test_keys_are_read_from_postgresql_too(settings: Settings, postgres_url: str) -> None:
    elsewhere = settings.model_copy(update={"database_url": postgres_url})
    assert said(elsewhere)[0][0] is Condition.PROBLEM
    add_keys(elsewhere, None)
    assert said(elsewhere) == [(Condition.OK, "1 valid")]


def test_a_database_that_does_not_answer_has_a_finding_of_its_own(settings: Settings) -> None:
    assert said(settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:9/none"})) == []
