"""Bind sessions to a tenant: they see only its rows, and the rows they add belong to it.

The rule is part of the session and not of each statement, so no endpoint can forget it. Sessions that are bound to no tenant
(those of the worker and the reaper) see every row.

Source: SQLAlchemy 2.0, `with_loader_criteria`, "Adding global WHERE / ON criteria".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, sessionmaker, with_loader_criteria

from app.domain.access import Caller
from app.infra.clock import utc_now
from app.infra.tables import AuditRow, TenantOwned

_TENANT, _CREATED = "tenant_id", "created_ids"
MAX_PATH_CHARACTERS = 400


def install_tenancy(factory: sessionmaker[Session]) -> sessionmaker[Session]:
    """Let the factory's sessions see only the rows of their tenant, if they have one."""
    event.listen(factory, "do_orm_execute", _add_criteria)
    event.listen(factory, "before_flush", _own_new_rows)
    return factory


def tenant_of(session: Session) -> str | None:
    """Return the tenant whose rows the session sees; None for all tenants."""
    tenant_id: str | None = session.info.get(_TENANT)
    return tenant_id


class Sessions(Protocol):
    """A factory of sessions."""

    def __call__(self, **options: Any) -> Session:
        """Return a session, which the caller closes."""

    def begin(self) -> AbstractContextManager[Session]:
        """Yield a session whose changes are committed at the end."""


class TenantSessions:
    """A factory of sessions that are bound to one caller.

    Args:
        factory: creates the sessions.
        caller: whose rows they see.
        action: what the audit log says about changes, such as `POST /v1/jobs`; None for sessions that only read.
        path: path of the request.
        address: address that the request came from.
    """

    def __init__(
        self,
        factory: Sessions,
        caller: Caller,
        action: str | None = None,
        path: str = "",
        address: str | None = None,
    ) -> None:
        self._factory = factory
        self._caller = caller
        self._action = action
        self._path = path
        self._address = address

    def __call__(self, **options: Any) -> Session:
        """Return a session, which the caller closes."""
        return self._factory(**options, info={_TENANT: self._caller.tenant_id})

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Yield a session whose changes are committed at the end, together with their line in the audit log."""
        with self() as session, session.begin():
            yield session
            session.flush()
            if self._action is not None:
                session.add(self._audit_line(session))

    def _audit_line(self, session: Session) -> AuditRow:
        return AuditRow(
            at=utc_now(),
            tenant_id=self._caller.tenant_id,
            key_id=self._caller.key_id,
            action=self._action,
            path=self._path[:MAX_PATH_CHARACTERS],
            created_ids=session.info.get(_CREATED, []),
            address=self._address,
        )


def _add_criteria(state: ORMExecuteState) -> None:
    tenant_id = tenant_of(state.session)
    if tenant_id is None or not (state.is_select or state.is_update or state.is_delete):
        return
    state.statement = state.statement.options(
        with_loader_criteria(TenantOwned, lambda owned: owned.tenant_id == tenant_id, include_aliases=True)
    )


def _own_new_rows(session: Session, _flush: UOWTransaction, _instances: Any) -> None:
    tenant_id = tenant_of(session)
    if tenant_id is None:
        return
    for row in session.new:
        if isinstance(row, TenantOwned):
            row.tenant_id = tenant_id
            session.info.setdefault(_CREATED, []).append(getattr(row, "id", None) or getattr(row, "name", ""))
