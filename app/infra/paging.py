"""Page through rows, newest first or by name, by a cursor that stays valid when rows are added or deleted."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from app.domain.errors import BadCursorError

Row = TypeVar("Row", bound=Any)
_NAME = "name|"


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
    return page, cursor_after(page[-1].created_at, page[-1].id) if len(rows) > limit else None


def fetch_page_by_name(
    session: Session, statement: Select[Row], cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """Return up to `limit` rows after the cursor in the order of their names, and the cursor of the next page or None.

    Args:
        session: the session to read with.
        statement: `select(SomeRow)` with its filters; the row has a `name`, which no other row of the tenant has.
        cursor: the cursor that the page before returned; None for the first page.
        limit: rows on a page.

    Raises:
        BadCursorError: the cursor is not one of ours.
    """
    entity = statement.column_descriptions[0]["entity"]
    if cursor is not None:
        statement = statement.where(entity.name > _decode_text(cursor, _NAME))
    rows = list(session.scalars(statement.order_by(entity.name).limit(limit + 1)))
    page = rows[:limit]
    return page, _encode_text(f"{_NAME}{page[-1].name}") if len(rows) > limit else None


def cursor_after(created_at: datetime, row_id: str) -> str:
    """Return the cursor of the page that follows a row."""
    return _encode_text(f"{created_at.isoformat()}|{row_id}")


def _decode(cursor: str) -> tuple[datetime, str]:
    created_at, separator, row_id = _decode_text(cursor).partition("|")
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError as error:
        raise _bad_cursor(cursor) from error
    if not separator or moment.tzinfo is None:
        raise _bad_cursor(cursor)
    return moment, row_id


def _encode_text(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_text(cursor: str, prefix: str = "") -> str:
    """Return what a cursor says after a prefix, which tells it from cursors of other lists."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise _bad_cursor(cursor) from error
    if not text.startswith(prefix) or not text.isprintable():
        raise _bad_cursor(cursor)
    return text.removeprefix(prefix)


def _bad_cursor(cursor: str) -> BadCursorError:
    return BadCursorError(
        expected="the `next_cursor` of an earlier page", got=repr(cursor[:80]), remedy="Start again without a cursor"
    )
