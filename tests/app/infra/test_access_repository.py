from datetime import UTC, datetime, timedelta

import pytest

from app.domain.access import NewKey, Quotas, Scope
from app.domain.errors import NotFoundError
from app.infra.access_repository import AccessRepository
from app.infra.database import SessionFactory
from app.infra.known_keys import KnownKeys

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make_key(session_factory: SessionFactory, expires_at: datetime | None = None) -> NewKey:
    with session_factory.begin() as session:
        access = AccessRepository(session)
        tenant = access.ensure_tenant("clinic", NOW)
        access.set_quotas(tenant, Quotas(max_images=7))
        return access.create_key(tenant.id, "laptop", frozenset({Scope.PREDICT}), NOW, expires_at)


def lets_in(session_factory: SessionFactory, key: NewKey, now: datetime, secret: str | None = None) -> bool:
    return KnownKeys(session_factory.kw["bind"]).authenticate(key.key_id, secret or key.secret, now) is not None


def test_a_key_identifies_its_tenant_scopes_and_quotas(session_factory: SessionFactory) -> None:
    key = make_key(session_factory)
    caller = KnownKeys(session_factory.kw["bind"]).authenticate(key.key_id, key.secret, NOW)
    with session_factory() as session:
        assert caller is not None
        assert caller.tenant_id == AccessRepository(session).tenant("clinic").id
        assert (caller.key_id, caller.scopes, caller.quotas.max_images) == (key.key_id, {Scope.PREDICT}, 7)


def test_a_wrong_secret_and_an_unknown_key_are_refused(session_factory: SessionFactory) -> None:
    key = make_key(session_factory)
    assert not lets_in(session_factory, key, NOW, secret="x" * 43)
    assert not lets_in(session_factory, NewKey("key" + "0" * 24, key.secret), NOW)


def test_a_key_expires(session_factory: SessionFactory) -> None:
    key = make_key(session_factory, NOW + DAY)
    assert lets_in(session_factory, key, NOW)
    assert not lets_in(session_factory, key, NOW + DAY)


def test_a_revoked_key_is_refused(session_factory: SessionFactory) -> None:
    key = make_key(session_factory)
    with session_factory.begin() as session:
        AccessRepository(session).revoke_key(key.key_id, NOW)
    assert not lets_in(session_factory, key, NOW)
    with session_factory.begin() as session, pytest.raises(NotFoundError):
        AccessRepository(session).rotate_key(key.key_id, DAY, NOW)


def test_a_rotated_key_works_during_its_grace_period(session_factory: SessionFactory) -> None:
    old = make_key(session_factory)
    with session_factory.begin() as session:
        new = AccessRepository(session).rotate_key(old.key_id, DAY, NOW)
    assert lets_in(session_factory, old, NOW)
    assert not lets_in(session_factory, old, NOW + DAY)
    assert lets_in(session_factory, new, NOW + DAY)
    with session_factory() as session:
        assert [row.scopes for row, _ in AccessRepository(session).keys("clinic")] == [["predict"], ["predict"]]


def test_the_secret_is_nowhere_in_the_database(session_factory: SessionFactory) -> None:
    key = make_key(session_factory)
    with session_factory() as session:
        row = AccessRepository(session).key(key.key_id)
        assert key.secret not in str({column: getattr(row, column) for column in row.__table__.columns.keys()})


def test_a_tenant_is_made_once(session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        access = AccessRepository(session)
        assert access.ensure_tenant("clinic", NOW).id == access.ensure_tenant("clinic", NOW).id
        with pytest.raises(NotFoundError, match="vtt keys create"):
            access.tenant("nobody")
