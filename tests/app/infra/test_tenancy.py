from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, delete, func, select, update

from app.domain.access import Caller
from app.infra.access_repository import AccessRepository
from app.infra.database import SessionFactory, make_reader_factory
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import AuditRow, SupportSetRow
from app.infra.tenancy import TenantSessions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def callers(session_factory: SessionFactory) -> tuple[Caller, Caller]:
    with session_factory.begin() as session:
        access = AccessRepository(session)
        one, other = (access.ensure_tenant(name, NOW).id for name in ("one", "other"))
    return Caller(one, "key1"), Caller(other, "key2")


def test_a_session_sees_and_changes_its_tenant_s_rows_alone(
    session_factory: SessionFactory, callers: tuple[Caller, Caller]
) -> None:
    one, other = (TenantSessions(session_factory, caller) for caller in callers)
    with one.begin() as session:
        set_id = SupportSetRepository(session).create("mine", NOW).id
    with other.begin() as session:
        assert session.get(SupportSetRow, set_id) is None
        assert session.scalar(select(func.count()).select_from(SupportSetRow)) == 0
        assert list(session.scalars(select(SupportSetRow.id))) == []
        session.execute(update(SupportSetRow).values(name="theirs"))
        session.execute(delete(SupportSetRow))
    with one() as session:
        assert session.get_one(SupportSetRow, set_id).name == "mine"
        assert session.get_one(SupportSetRow, set_id).tenant_id == callers[0].tenant_id


def test_a_session_bound_to_no_tenant_sees_all_rows(session_factory: SessionFactory, callers: tuple[Caller, Caller]) -> None:
    for caller in callers:
        with TenantSessions(session_factory, caller).begin() as session:
            SupportSetRepository(session).create("", NOW)
    with session_factory() as session:
        assert session.scalar(select(func.count()).select_from(SupportSetRow)) == 2


def test_a_change_and_its_line_in_the_audit_log_are_one_transaction(
    session_factory: SessionFactory, callers: tuple[Caller, Caller]
) -> None:
    sessions = TenantSessions(session_factory, callers[0], "POST /v1/things", "/v1/things?name=x", "192.0.2.1")
    with sessions.begin() as session:
        set_id = SupportSetRepository(session).create("", NOW).id
    with suppress(RuntimeError), sessions.begin() as session:
        SupportSetRepository(session).create("", NOW)
        raise RuntimeError
    with session_factory() as session:
        [line] = session.scalars(select(AuditRow))
        assert (line.tenant_id, line.key_id, line.address) == (callers[0].tenant_id, "key1", "192.0.2.1")
        assert (line.action, line.path, line.created_ids) == ("POST /v1/things", "/v1/things?name=x", [set_id])


def test_readers_keep_to_their_tenant_too(
    engine: Engine, session_factory: SessionFactory, callers: tuple[Caller, Caller]
) -> None:
    with TenantSessions(session_factory, callers[0]).begin() as session:
        SupportSetRepository(session).create("", NOW)
    readers = make_reader_factory(engine)
    for caller, expected in zip(callers, (1, 0), strict=True):
        with TenantSessions(readers, caller)() as session:
            assert len(SupportSetRepository(session).list_page(None, 10)[0]) == expected
