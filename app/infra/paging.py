"""Page through rows, newest first, by a cursor that stays valid when rows are added or deleted."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from app.domain.errors import BadCursorError

Row = TypeVar("Row", bound=Any)


def fetch_page(session: Session, statement: Select[Row], cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    """Return up to `limit` rows after the cursor, and the cursor of the next page or None.

    Args:
        session: the session to read with.
        statement: `select(SomeRow)` with its filters; the row has `created_at` and `id`.
        cursor: the cursor that the page before returned; None for the first page.
        limit: rows on a page.

    Raises:
        BadCursorError: the cursor is not one of ours.
    """
    entity = statement.column_descriptions[0]["entity"]
    if cursor is not None:
        created_at, row_id = _decode(cursor)
        statement = statement.where(tuple_(entity.created_at, entity.id) < tuple_(created_at, row_id))
    ordered = statement.order_by(entity.created_at.desc(), entity.id.desc()).limit(limit + 1)
    rows = list(session.scalars(ordered))
    page = rows[:limit]
    return page, _encode(page[-1].created_at, page[-1].id) if len(rows) > limit else None


def _encode(created_at: datetime, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{row_id}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        decoded = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        created_at, separator, row_id = decoded.partition("|")
        moment = datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError):
        separator, moment, row_id = "", datetime.min, ""
    if not separator or moment.tzinfo is None:
        raise BadCursorError(
            expected="the `next_cursor` of an earlier page", got=repr(cursor[:80]), remedy="Start again without a cursor"
        )
    return moment, row_id
