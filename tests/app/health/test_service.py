"""A part that is down is named, and the others are still looked at."""

import pytest
from sqlalchemy.exc import OperationalError

from app.health.schemas import Condition
from app.health.service import readiness
from app.infra.store import ObjectStore
from tests.fixtures.http_api import Api


@pytest.mark.services
def test_a_lost_database_and_store_are_named(api: Api, s3_url: str, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setattr(api.resources, "readers", lost)
    monkeypatch.setattr(api.resources, "store", ObjectStore(s3_url))
    answer = readiness(api.resources)
    assert not answer.is_ready
    assert "server closed" in answer.parts["database"].detail
    assert "Could not connect" in answer.parts["store"].detail
    assert answer.parts["queue"].condition is Condition.OK
