"""What predictions look up of a model, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Engine, event

from app.domain.access import Caller
from app.infra.access_repository import AccessRepository
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.served_models import ServedModel, ServedModels
from app.infra.tables import ModelRow
from app.infra.tenancy import TenantSessions

BANDS = {"bands": [4, 3, 2], "low": [0, 1, 2], "high": [9, 8, 7]}
AddModel = Callable[[str, str], str]


@pytest.fixture
def add_model(session_factory: SessionFactory, new_job: NewJob, now: datetime) -> AddModel:
    def add(tenant: str, name: str) -> str:
        """Give a tenant a model and an alias of it, and return the tenant's id."""
        with session_factory.begin() as session:
            tenant_id = AccessRepository(session).ensure_tenant(tenant, now).id
        with TenantSessions(session_factory, Caller(tenant_id, "key")).begin() as session:
            session.add(
                ModelRow(
                    id=f"mdl_{name}", job_id=JobRepository(session).create(new_job, now)[0].id, name=name, backbone_id="mini",
                    backbone_sha256="0" * 64, labels=["cat", "dog"], recipe={}, metrics={}, bands=BANDS, adapter_key="key",
                    adapter_bytes=1, is_pinned=True, false_rejects=0.1, created_at=now,
                )
            )  # fmt: skip
            session.flush()
            ModelRepository(session).point_alias("current", f"mdl_{name}", now)
        return tenant_id

    return add


def test_a_model_is_found_by_its_id_and_by_an_alias(
    engine: Engine, session_factory: SessionFactory, add_model: AddModel
) -> None:
    tenant_id, models = add_model("one", "a"), ServedModels(engine)
    expected = ServedModel("mdl_a", "a", "mini", BANDS, "key", True, 0.1)
    for reference in ("mdl_a", "current"):
        assert models.find(reference, tenant_id) == expected
        with session_factory() as session:
            assert ServedModel.of(ModelRepository(session).resolve(reference)) == expected
    assert models.find("mdl_b", tenant_id) is None
    assert models.find("other", tenant_id) is None


def test_every_tenant_has_its_own(engine: Engine, add_model: AddModel) -> None:
    one, other, models = add_model("one", "a"), add_model("other", "b"), ServedModels(engine)
    for tenant_id, mine, theirs in ((one, "mdl_a", "mdl_b"), (other, "mdl_b", "mdl_a")):
        for reference in (mine, "current"):
            found = models.find(reference, tenant_id)
            assert found is not None
            assert found.id == mine
        assert models.find(theirs, tenant_id) is None


def test_what_changes_is_seen_at_once(
    engine: Engine, session_factory: SessionFactory, add_model: AddModel, now: datetime
) -> None:
    tenant_id, models = add_model("one", "a"), ServedModels(engine)
    assert models.find("current", tenant_id) is not None
    with session_factory.begin() as session:
        ModelRepository(session).set_pinned("mdl_a", False)
    found = models.find("current", tenant_id)
    assert found is not None
    assert not found.is_pinned
    with session_factory.begin() as session:
        ModelRepository(session).delete("mdl_a", now)
    assert models.find("current", tenant_id) is None
    assert models.find("mdl_a", tenant_id) is None


def test_nothing_but_one_statement_of_few_columns_is_sent(engine: Engine, add_model: AddModel) -> None:
    tenant_id, models = add_model("one", "a"), ServedModels(engine)
    models.find("current", tenant_id)  # opens the connection
    sent: list[str] = []
    event.listen(Engine, "before_cursor_execute", note := lambda _connection, _cursor, statement, *_: sent.append(statement))
    try:
        models.find("current", tenant_id)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    [statement] = sent
    assert statement.startswith("SELECT")
    assert "metrics" not in statement
