"""A part that is down is named, and the others are still looked at."""

import pytest
from sqlalchemy.exc import OperationalError

from app.health.schemas import Condition
from app.health.service import readiness
from app.infra.store import ObjectStore
from tests.fixtures.http_api import Api


def test_a_lost_database_and_store_are_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    def unreachable(*_: object) -> bool:
        raise OSError("no route")

    monkeypatch.setattr(api.resources, "readers", lost)
    monkeypatch.setattr(ObjectStore, "exists", unreachable)
    answer = readiness(api.resources)
    assert not answer.is_ready
    assert "server closed" in answer.parts["database"].detail
    assert "no route" in answer.parts["store"].detail
    assert answer.parts["queue"].condition is Condition.OK
