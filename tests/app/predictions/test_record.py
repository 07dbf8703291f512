"""Predictions are kept only where the settings say so, and never at the cost of the answer."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.infra.prediction_repository import PredictionRepository
from app.infra.tables import PredictionRow
from tests.fixtures.http_api import Api, MakeApi, encode_image


def predict(api: Api) -> int:
    parts = [("images", ("a.png", encode_image(1))), ("images", ("b.png", b"bad")), ("images", ("c.png", encode_image(3)))]
    return api.client.post(f"/v1/models/{api.publish()}/predict", files=parts, headers={"X-Request-ID": "proxy-1"}).status_code


def rows(api: Api) -> list[PredictionRow]:
    with api.context.readers() as session:
        return list(session.scalars(select(PredictionRow)))


def test_nothing_is_kept_by_default(api: Api) -> None:
    assert predict(api) == 207
    assert rows(api) == []


def test_each_image_that_was_answered_is_kept_by_its_digest(make_api: MakeApi) -> None:
    api = make_api(prediction_retention_days=30)
    assert predict(api) == 207
    kept = rows(api)
    assert {row.image_sha256 for row in kept} == {hashlib.sha256(encode_image(colour)).hexdigest() for colour in (1, 3)}
    assert {(row.label, row.probability, row.request_id) for row in kept} == {("cat", 0.9, "proxy-1")}


def test_a_database_that_refuses_costs_the_record_and_not_the_answer(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    monkeypatch.setattr(PredictionRepository, "add", refuse)
    api = make_api(prediction_retention_days=30)
    assert predict(api) == 207
    assert rows(api) == []
