import json
from datetime import datetime

import pytest
from sqlalchemy import select

from app.infra.database import SessionFactory
from app.infra.json_columns import dump_json
from app.infra.tables import JobEventRow


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_become_null(number: float) -> None:
    assert json.loads(dump_json({"a": [1.5, number], "b": {"c": (number,)}})) == {"a": [1.5, None], "b": {"c": [None]}}


def test_every_database_accepts_a_cosine_that_is_nan(session_factory: SessionFactory, job_id: str, now: datetime) -> None:
    with session_factory.begin() as session:
        session.add(JobEventRow(job_id=job_id, kind="progress", payload={"conflict_cosine": float("nan")}, created_at=now))
    with session_factory() as session:
        payloads = session.scalars(select(JobEventRow.payload).where(JobEventRow.kind == "progress")).all()
    assert payloads == [{"conflict_cosine": None}]
