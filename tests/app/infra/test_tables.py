from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from app.infra.database import SessionFactory
from app.infra.tables import JobEventRow, SupportSetRow


def test_times_are_read_back_aware_and_in_utc(session_factory: SessionFactory) -> None:
    moment = datetime(2030, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    with session_factory.begin() as session:
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=moment))
    with session_factory() as session:
        read = session.scalars(select(SupportSetRow.created_at)).one()
    assert read == moment
    assert read.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(session_factory: SessionFactory) -> None:
    with pytest.raises(StatementError, match="aware"), session_factory.begin() as session:
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=datetime(2030, 1, 1)))


def test_a_row_cannot_point_to_nothing(session_factory: SessionFactory) -> None:
    with pytest.raises(IntegrityError), session_factory.begin() as session:
        session.add(JobEventRow(job_id="job_none", kind="state", payload={}, created_at=datetime(2030, 1, 1, tzinfo=UTC)))
