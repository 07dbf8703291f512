"""Look up what a prediction has to know of a model. This is read for every request, so it is one statement of few columns.

A whole row, with all that was measured of the model, in a session with a transaction, takes five times as long. It also gives
Python's lock away more often, and beside the threads of other requests each time is a wait.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Engine, bindparam, func, select

from app.infra.database import without_transactions
from app.infra.tables import AliasRow, ModelRow


class ServedModel(NamedTuple):
    """The columns of a `ModelRow` that predictions need."""

    id: str
    name: str
    backbone_id: str
    bands: dict[str, Any] | None
    adapter_key: str
    is_pinned: bool
    false_rejects: float | None

    @classmethod
    def of(cls, row: ModelRow) -> ServedModel:
        """Take them from a whole row."""
        return cls(*(getattr(row, name) for name in cls._fields))


_MODELS, _ALIASES = ModelRow.__table__.c, AliasRow.__table__.c
_TENANT: BindParameter[str] = bindparam("tenant_id")
_REFERENCE: BindParameter[str] = bindparam("reference")
_POINTED_AT = select(_ALIASES.model_id).where(_ALIASES.tenant_id == _TENANT, _ALIASES.name == _REFERENCE).scalar_subquery()
_STATEMENT = select(*(_MODELS[name] for name in ServedModel._fields)).where(
    _MODELS.id == func.coalesce(_POINTED_AT, _REFERENCE), _MODELS.tenant_id == _TENANT, _MODELS.deleted_at.is_(None)
)


class ServedModels:
    """Models by what a request calls them.

    Args:
        engine: of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = without_transactions(engine)

    def find(self, reference: str, tenant_id: str) -> ServedModel | None:
        """Return the model that has this id or alias; None where `ModelRepository.resolve` has to look further.

        Args:
            reference: id of a model, or an alias.
            tenant_id: whose models and aliases are looked at, and no other's.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_STATEMENT, {"reference": reference, "tenant_id": tenant_id}).one_or_none()
        return None if row is None else ServedModel(*row)
