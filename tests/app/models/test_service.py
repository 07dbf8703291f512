"""Aliases under concurrency, and what a deletion forgets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.errors import BlobMissingError, GoneError
from app.infra.clock import utc_now
from app.infra.model_repository import ModelRepository
from app.infra.tables import AliasRow
from app.models import service
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image


def test_a_deleted_model_leaves_the_engine_s_memory(api: Api) -> None:
    model_id = api.publish()
    api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a.png", encode_image(1)))])
    assert [adapter.model_id for adapter in api.engine.resident()] == [model_id]
    service.delete_model(api.context, model_id, utc_now())
    assert api.engine.resident() == []


def test_an_alias_that_another_request_has_just_created_is_moved(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model_id = api.publish()
    point = ModelRepository.point_alias
    failures = [IntegrityError("insert", {}, Exception("unique"))]

    def collide_once(self: ModelRepository, *arguments: object) -> AliasRow:
        if failures:
            raise failures.pop()
        return point(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelRepository, "point_alias", collide_once)
    assert service.point_alias(api.context, "current", model_id, utc_now()).model_id == model_id


def test_concurrent_requests_for_one_alias_all_succeed(api: Api) -> None:
    model_id = api.publish()
    with ThreadPoolExecutor(4) as threads:
        rows = list(threads.map(lambda _: service.point_alias(api.context, "current", model_id, utc_now()), range(8)))
    assert {row.model_id for row in rows} == {model_id}


def test_pinned_models_are_in_memory_once_a_process_has_started(make_api: MakeApi) -> None:
    api = make_api()
    pinned, lost, other = api.publish(), api.publish(), api.publish()
    for model_id in (pinned, lost):
        assert api.client.put(f"/v1/models/{model_id}/pin").status_code == 200
    api.context.store.delete_prefix(f"models/{lost}")
    engine = FakeEngine()
    service.load_pinned(api.context, engine)
    assert set(engine.adapters) == {pinned}
    assert engine.pinned == {pinned, lost}
    assert other not in engine.pinned


def test_a_model_that_is_deleted_while_a_request_waits_is_gone_and_not_lost(api: Api) -> None:
    deleted, lost = api.publish(), api.publish()
    with api.context.readers() as session:
        rows = [ModelRepository(session).get(model_id) for model_id in (deleted, lost)]
    service.delete_model(api.context, deleted, utc_now())
    api.context.store.delete_prefix(f"models/{lost}")
    with pytest.raises(GoneError):
        service.read_adapter(api.context, rows[0])
    with pytest.raises(BlobMissingError):
        service.read_adapter(api.context, rows[1])
