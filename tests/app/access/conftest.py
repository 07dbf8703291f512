"""Give access tests a service that asks for keys, and callers of two tenants."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.domain.access import Quotas, Scope
from app.infra.access_repository import AccessRepository
from app.infra.clock import utc_now
from app.infra.settings import Role
from tests.fixtures.http_api import Api, MakeApi

MakeCaller = Callable[..., dict[str, str]]


@pytest.fixture
def locked(make_api: MakeApi) -> Api:
    return make_api(role=Role.ALL, require_keys=True)


@pytest.fixture
def make_caller(locked: Api) -> MakeCaller:
    """Return the headers of a caller of a tenant."""

    def make(
        tenant: str = "clinic", scopes: frozenset[Scope] = frozenset(Scope), quotas: Quotas | None = None
    ) -> dict[str, str]:
        with locked.context.sessions.begin() as session:
            access = AccessRepository(session)
            row = access.ensure_tenant(tenant, utc_now())
            access.set_quotas(row, quotas or Quotas())
            return {"Authorization": f"Bearer {access.create_key(row.id, '', scopes, utc_now()).text}"}

    return make
