"""Read and change tenants, their keys and the audit log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain.access import NewKey, Quotas, Scope, draw_key, hash_secret
from app.domain.batches import OPEN_BATCH_STATES
from app.domain.errors import NotFoundError
from app.domain.ids import TENANT_PREFIX, new_id
from app.domain.jobs import UNFINISHED_STATES
from app.infra.tables import (
    ApiKeyRow,
    AuditRow,
    BatchRow,
    EvaluationImageRow,
    EvaluationRow,
    ExportRow,
    JobRow,
    ModelRow,
    SupportImageRow,
    SupportSetRow,
    TenantRow,
)


class AccessRepository:
    """Tenants and keys in one session that is bound to no tenant; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tenant(self, name: str) -> TenantRow:
        """Return a tenant by its name; raises NotFoundError."""
        row = self._find_tenant(name)
        if row is None:
            raise NotFoundError(
                expected="the name of a tenant",
                got=repr(name),
                remedy="Make its first key with `vtt keys create --tenant NAME`",
            )
        return row

    def ensure_tenant(self, name: str, now: datetime) -> TenantRow:
        """Return the tenant of this name; create it if there is none."""
        if (known := self._find_tenant(name)) is not None:
            return known
        row = TenantRow(id=new_id(TENANT_PREFIX), name=name, created_at=now)
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:  # another process has just created it
            return self.tenant(name)
        return row

    def create_key(
        self, tenant_id: str, name: str, scopes: frozenset[Scope], now: datetime, expires_at: datetime | None = None
    ) -> NewKey:
        """Add a key and return it; nobody can read its secret later."""
        key = draw_key()
        row = ApiKeyRow(
            id=key.key_id,
            tenant_id=tenant_id,
            name=name,
            secret_sha256=hash_secret(key.secret),
            scopes=sorted(scopes),
            created_at=now,
            expires_at=expires_at,
        )
        self._session.add(row)
        self._session.flush()
        return key

    def rotate_key(self, key_id: str, grace: timedelta, now: datetime) -> NewKey:
        """Add a key with the rights of an old one, which stays valid for the grace period.

        Raises:
            NotFoundError: no key has this id, or it is not valid any more.
        """
        row = self.key(key_id)
        if not is_valid(row, now):
            raise _unknown_key(key_id)
        key = self.create_key(row.tenant_id, row.name, frozenset(map(Scope, row.scopes)), now, row.expires_at)
        end = now + grace
        row.expires_at = end if row.expires_at is None else min(row.expires_at, end)
        self._session.flush()
        return key

    def revoke_key(self, key_id: str, now: datetime) -> ApiKeyRow:
        """Make a key invalid from now on; raises NotFoundError."""
        row = self.key(key_id)
        row.revoked_at = row.revoked_at or now
        self._session.flush()
        return row

    def key(self, key_id: str) -> ApiKeyRow:
        """Return a key by its id; raises NotFoundError."""
        row = self._session.get(ApiKeyRow, key_id)
        if row is None:
            raise _unknown_key(key_id)
        return row

    def keys(self, tenant: str | None = None) -> list[tuple[ApiKeyRow, str]]:
        """Return the keys of one tenant or of all, each with the name of its tenant, oldest first."""
        statement = select(ApiKeyRow, TenantRow.name).join(TenantRow, ApiKeyRow.tenant_id == TenantRow.id)
        if tenant is not None:
            statement = statement.where(TenantRow.name == tenant)
        return [(row, name) for row, name in self._session.execute(statement.order_by(ApiKeyRow.created_at)).all()]

    def set_quotas(self, tenant: TenantRow, quotas: Quotas) -> None:
        """Change how much a tenant may have."""
        for name, bound in asdict(quotas).items():
            setattr(tenant, name, bound)
        self._session.flush()

    def note(self, tenant_id: str, command: str, subject: str, created_ids: list[str], now: datetime) -> None:
        """Add a line to the audit log for a command."""
        self._session.add(AuditRow(at=now, tenant_id=tenant_id, action=command, path=subject, created_ids=created_ids))

    def audit_events(self, tenant: str | None, limit: int) -> list[tuple[AuditRow, str]]:
        """Return the last lines of the audit log, each with the name of its tenant, newest first."""
        statement = select(AuditRow, TenantRow.name).join(TenantRow, AuditRow.tenant_id == TenantRow.id)
        if tenant is not None:
            statement = statement.where(TenantRow.name == tenant)
        rows = self._session.execute(statement.order_by(AuditRow.id.desc()).limit(limit)).all()
        return [(row, name) for row, name in rows]

    def _find_tenant(self, name: str) -> TenantRow | None:
        return self._session.scalar(select(TenantRow).where(TenantRow.name == name))


class UsageRepository:
    """Counts what a tenant has; the session must be bound to that tenant."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_tenant(self, tenant_id: str) -> None:
        """Lock the tenant until the transaction ends, so that two requests do not pass its quota together."""
        self._session.execute(select(TenantRow.id).where(TenantRow.id == tenant_id).with_for_update())

    def unfinished_jobs(self) -> int:
        """Return how many jobs have not ended."""
        return self._count(select(func.count()).select_from(JobRow).where(JobRow.state.in_(UNFINISHED_STATES)))

    def images(self) -> int:
        """Return how many support images there are."""
        return self._count(_images_of_sets(func.count()))

    def size_bytes(self) -> int:
        """Return the size of what is stored: images of sets, evaluations and unfinished batches, adapters, and exports."""
        adapters = select(func.coalesce(func.sum(ModelRow.adapter_bytes), 0)).where(ModelRow.deleted_at.is_(None))
        evaluated = select(func.coalesce(func.sum(EvaluationImageRow.size_bytes), 0)).select_from(EvaluationImageRow)
        evaluated = evaluated.join(EvaluationRow, EvaluationImageRow.evaluation_id == EvaluationRow.id)
        open_batches = BatchRow.state.in_(OPEN_BATCH_STATES)
        batches = select(func.coalesce(func.sum(BatchRow.size_bytes), 0)).where(open_batches)
        support_images = _images_of_sets(func.coalesce(func.sum(SupportImageRow.size_bytes), 0))
        exports = select(func.coalesce(func.sum(ExportRow.size_bytes), 0))
        return sum(map(self._count, (support_images, adapters, evaluated, batches, exports)))

    def _count(self, statement: Select[int]) -> int:
        return int(self._session.scalar(statement) or 0)


def predictions_per_minute(session: Session, tenant_id: str) -> int | None:
    """Return how many images a tenant may have predicted in a minute; None for no limit. The session is bound to no tenant."""
    return session.scalar(select(TenantRow.max_predictions_per_minute).where(TenantRow.id == tenant_id))


def quotas_of(tenant: TenantRow | Row[*tuple[Any, ...]]) -> Quotas:
    """Return how much a tenant may have, by its row or some of its columns."""
    return Quotas(tenant.max_unfinished_jobs, tenant.max_images, tenant.max_bytes, tenant.max_predictions_per_minute)


def _images_of_sets(column: ColumnElement[int]) -> Select[int]:
    """Return what is counted or summed up over the images of sets; deleted sets have none."""
    of_set = (SupportImageRow.support_set_id == SupportSetRow.id) & SupportSetRow.deleted_at.is_(None)
    return select(column).select_from(SupportImageRow).join(SupportSetRow, of_set)


def is_valid(row: ApiKeyRow | Row[*tuple[Any, ...]], now: datetime) -> bool:
    """Return whether a key may be used now, by its row or some of its columns."""
    return row.revoked_at is None and (row.expires_at is None or bool(row.expires_at > now))


def _unknown_key(key_id: str) -> NotFoundError:
    return NotFoundError(expected="the id of a key that is valid", got=repr(key_id), remedy="List them with `vtt keys list`")
