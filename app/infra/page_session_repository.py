"""Read and change which browsers have signed in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.domain.access import Caller, Scope
from app.infra.access_repository import is_valid, quotas_of
from app.infra.tables import ApiKeyRow, PageSessionRow, TenantRow


class PageSessionRepository:
    """Signed-in browsers in one session that is bound to no tenant; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, token_sha256: str, key_id: str, now: datetime, expires_at: datetime) -> None:
        """Let a browser act for a key, and forget those whose time has ended."""
        self._session.execute(delete(PageSessionRow).where(PageSessionRow.expires_at <= now))
        row = PageSessionRow(token_sha256=token_sha256, key_id=key_id, created_at=now, expires_at=expires_at)
        self._session.add(row)

    def remove(self, token_sha256: str) -> None:
        """Forget a browser."""
        self._session.execute(delete(PageSessionRow).where(PageSessionRow.token_sha256 == token_sha256))

    def caller(self, token_sha256: str, now: datetime) -> Caller | None:
        """Return for whom a browser acts; None if it has not signed in, or if its time or its key has ended."""
        statement = (
            select(ApiKeyRow, TenantRow)
            .join(PageSessionRow, PageSessionRow.key_id == ApiKeyRow.id)
            .join(TenantRow, ApiKeyRow.tenant_id == TenantRow.id)
            .where(PageSessionRow.token_sha256 == token_sha256, PageSessionRow.expires_at > now)
        )
        found = self._session.execute(statement).one_or_none()
        if found is None or not is_valid(found[0], now):
            return None
        key, tenant = found
        return Caller(tenant.id, key.id, frozenset(map(Scope, key.scopes)), quotas_of(tenant))
