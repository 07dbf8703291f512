"""Write rows as JSON lines that SQLite and PostgreSQL both can read: times as ISO 8601 in UTC, bytes as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Insert, LargeBinary, MetaData, Table, bindparam
from sqlalchemy.types import TypeEngine

VERSION_TABLE = "alembic_version"


def tables_of(connection: Connection) -> list[Table]:
    """Return the tables of the database at its revision; a table comes after those that it refers to."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != VERSION_TABLE]


def encode_row(row: Mapping[str, Any]) -> bytes:
    """Return a row as one line."""
    return json.dumps(dict(row), default=_encode, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def decode_row(table: Table, line: bytes) -> dict[str, Any]:
    """Return the row of a line, with values of the types of the table's columns."""
    row: dict[str, Any] = json.loads(line)
    return {name: _decode(table.columns[name].type, value) for name, value in row.items()}


def insert_of(table: Table) -> Insert:
    """Return an insert that writes NULL for None, where SQLAlchemy would write the JSON value null."""
    json_columns = [column.name for column in table.columns if isinstance(column.type, JSON)]
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
    values |= {name: bindparam(name, type_=JSON(none_as_null=True)) for name in json_columns}
    return table.insert().values(values)


def _encode(value: Any) -> str:
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)  # SQLite stores no time zone; it is UTC
        return aware.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"cannot write a value of type {type(value).__name__}")


def _decode(kind: TypeEngine[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, LargeBinary):
        return base64.b64decode(value)
    return value
