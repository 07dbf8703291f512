"""A row that was written as a line is the same row, in either kind of database."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import JSON, Column, Connection, DateTime, Engine, LargeBinary, MetaData, String, Table, select, text

from app.infra.row_lines import decode_row, encode_row, insert_of, tables_of
from app.infra.tables import Base
from tests.fixtures.rows import fill


def test_the_database_s_own_tables_are_those_of_the_service(engine: Engine) -> None:
    with engine.connect() as connection:
        assert {table.name for table in tables_of(connection)} == set(Base.metadata.tables)


@pytest.mark.slow
def test_rows_of_every_table_are_read_back_unchanged(engine: Engine) -> None:
    with engine.begin() as connection:
        fill(connection)
        tables = tables_of(connection)
        before = read_all(connection, tables)
        for table in reversed(tables):
            connection.execute(table.delete())
        for table in tables:
            rows = [decode_row(table, line) for line in before[table.name]]
            connection.execute(insert_of(table), rows)
        assert read_all(connection, tables) == before
        assert all(before.values())


def read_all(connection: Connection, tables: list[Table]) -> dict[str, list[bytes]]:
    return {
        table.name: [encode_row(dict(row)) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
        for table in tables
    }


def test_null_is_not_written_as_the_json_value_null(engine: Engine) -> None:
    metadata = MetaData()
    table = Table("things", metadata, Column("id", String(5), primary_key=True), Column("facts", JSON))
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(insert_of(table), [{"id": "a", "facts": None}, {"id": "b", "facts": {"x": 1}}])
        assert connection.scalar(text("SELECT count(*) FROM things WHERE facts IS NULL")) == 1


def test_times_are_written_in_utc_and_bytes_as_text() -> None:
    elsewhere = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    line = encode_row({"at": elsewhere, "naive": datetime(2030, 1, 1, 10), "secret": b"\x00\xff"})
    assert json.loads(line) == {"at": "2030-01-01T10:00:00+00:00", "naive": "2030-01-01T10:00:00+00:00", "secret": "AP8="}
    table = Table("keys", MetaData(), Column("secret", LargeBinary), Column("at", DateTime(timezone=True)))
    row = decode_row(table, b'{"secret": "AP8=", "at": "2030-01-01T10:00:00+00:00"}')
    assert row == {"secret": b"\x00\xff", "at": datetime(2030, 1, 1, 10, tzinfo=UTC)}


def test_a_value_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        encode_row({"x": {1}})
