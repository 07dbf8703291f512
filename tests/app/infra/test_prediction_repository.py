"""Kept predictions leave when their days are over."""

from datetime import datetime, timedelta

from sqlalchemy import select

from app.infra.database import SessionFactory
from app.infra.prediction_repository import KeptPrediction, PredictionRepository
from app.infra.tables import PredictionRow
from tests.fixtures.rows import add_model

CAT = KeptPrediction("0" * 64, "cat", 0.75)


def labels(factory: SessionFactory) -> list[str]:
    with factory() as session:
        return list(session.scalars(select(PredictionRow.label).order_by(PredictionRow.created_at)))


def test_a_row_holds_the_request_the_prediction_and_the_time(
    session_factory: SessionFactory, job_id: str, now: datetime
) -> None:
    with session_factory.begin() as session:
        add_model(session, job_id)
        PredictionRepository(session).add([CAT], "mdl_1", now, request_id="req_1")
    with session_factory() as session:
        row = session.scalars(select(PredictionRow)).one()
    assert (row.tenant_id, row.request_id, row.model_id, row.created_at) == ("default", "req_1", "mdl_1", now)
    assert (row.image_sha256, row.label, row.probability) == ("0" * 64, "cat", 0.75)


def test_old_ones_are_purged_a_bounded_number_at_once(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        add_model(session, job_id)
        for age in (5, 4, 3, 1):
            kept = [KeptPrediction("0" * 64, f"{age} days", 0.5)]
            PredictionRepository(session).add(kept, "mdl_1", now - timedelta(days=age), request_id=None)
    for expected in (2, 1, 0):
        with session_factory.begin() as session:
            assert PredictionRepository(session).purge(now, 2, limit=2) == expected
    assert labels(session_factory) == ["1 days"]


def test_without_days_nothing_stays(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        add_model(session, job_id)
        PredictionRepository(session).add([CAT], "mdl_1", now, request_id=None)
        assert PredictionRepository(session).purge(now, 0) == 1
