"""Look up whose a key is. Like `served_models`, this is read for every request: one statement of few columns."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BindParameter, Engine, bindparam, select

from app.domain.access import Caller, Scope, hash_secret, is_secret
from app.infra.access_repository import is_valid, quotas_of
from app.infra.database import without_transactions
from app.infra.tables import ApiKeyRow, TenantRow

NO_DIGEST = hash_secret("")
"""Compared with the secret if no key has its id, so that the answer takes as long."""
_KEYS, _TENANTS = ApiKeyRow.__table__.c, TenantRow.__table__.c
_KEY_ID: BindParameter[str] = bindparam("key_id")
_STATEMENT = select(
    _KEYS.tenant_id,
    _KEYS.secret_sha256,
    _KEYS.scopes,
    _KEYS.revoked_at,
    _KEYS.expires_at,
    _TENANTS.max_unfinished_jobs,
    _TENANTS.max_images,
    _TENANTS.max_bytes,
    _TENANTS.max_predictions_per_minute,
).where(_KEYS.id == _KEY_ID, _TENANTS.id == _KEYS.tenant_id)


class KnownKeys:
    """The keys of all tenants.

    Args:
        engine: of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = without_transactions(engine)

    def authenticate(self, key_id: str, secret: str, now: datetime) -> Caller | None:
        """Return whose key this is, or None if it is not valid: unknown, expired, revoked, or with a wrong secret."""
        with self._engine.connect() as connection:
            found = connection.execute(_STATEMENT, {"key_id": key_id}).one_or_none()
        is_right = is_secret(secret, found.secret_sha256 if found is not None else NO_DIGEST)
        if found is None or not is_right or not is_valid(found, now):
            return None
        return Caller(found.tenant_id, key_id, frozenset(map(Scope, found.scopes)), quotas_of(found))
