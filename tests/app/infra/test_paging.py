from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from app.domain.errors import BadCursorError
from app.infra.database import SessionFactory
from app.infra.paging import fetch_page
from app.infra.tables import SupportSetRow


@pytest.fixture
def seven_rows(session_factory: SessionFactory, now: datetime) -> list[str]:
    """Ids, newest first; the last three were made at the same moment."""
    rows = [SupportSetRow(id=f"set_{i}", empty_labels=[], created_at=now + timedelta(seconds=min(i, 4))) for i in range(7)]
    with session_factory.begin() as session:
        session.add_all(rows)
    return [f"set_{i}" for i in reversed(range(7))]


def test_pages_together_hold_every_row_once(session_factory: SessionFactory, seven_rows: list[str]) -> None:
    seen, cursor = [], None
    with session_factory() as session:
        for _ in range(4):
            rows, cursor = fetch_page(session, select(SupportSetRow), cursor, 2)
            seen += [row.id for row in rows]
    assert seen == seven_rows
    assert cursor is None


def test_a_new_row_does_not_shift_the_next_page(session_factory: SessionFactory, seven_rows: list[str], now: datetime) -> None:
    with session_factory.begin() as session:
        _, cursor = fetch_page(session, select(SupportSetRow), None, 3)
        session.add(SupportSetRow(id="set_new", empty_labels=[], created_at=now + timedelta(days=1)))
    with session_factory() as session:
        rows, _ = fetch_page(session, select(SupportSetRow), cursor, 3)
    assert [row.id for row in rows] == seven_rows[3:6]


def test_a_full_last_page_has_no_cursor(session_factory: SessionFactory, seven_rows: list[str]) -> None:
    with session_factory() as session:
        assert fetch_page(session, select(SupportSetRow), None, 7)[1] is None


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "Zm9v", "MjAzMC0wMS0wMXxzZXRfMQ", "é" * 5])
def test_a_foreign_cursor_is_refused(session_factory: SessionFactory, cursor: str) -> None:
    with session_factory() as session, pytest.raises(BadCursorError):
        fetch_page(session, select(SupportSetRow), cursor, 2)
