"""Every migration keeps the rows that are there, up, down and up again, on both kinds of database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

from app.infra.database import alembic_config, open_for_migration
from app.infra.row_lines import tables_of
from tests.fixtures.rows import ROWS_A_TABLE, fill
from tests.fixtures.services import PostgresServer

SCRIPTS = ScriptDirectory(str(files("migrations")))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def empty_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """A database without tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"empty_{abs(hash(tmp_path)):x}"
    yield server.create_database(name)
    server.drop_database(name)


def read(connection: Connection, like: Rows | None = None) -> Rows:
    """Return all rows, or of those tables and columns that others have."""
    rows: Rows = {}
    for table in tables_of(connection):
        if like is not None and table.name not in like:
            continue
        names = list(like[table.name][0]) if like is not None else [column.name for column in table.columns]
        found = connection.execute(select(*(table.columns[name] for name in names))).mappings()
        rows[table.name] = sorted((dict(row) for row in found), key=repr)
    return rows


def move(url: str, revision: str, *, down: bool = False) -> None:
    with open_for_migration(url) as connection:
        (command.downgrade if down else command.upgrade)(alembic_config(connection), revision)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(["base", *REVISIONS])))
def test_a_migration_keeps_every_row(empty_url: str, before: str, after: str) -> None:
    if before != "base":
        move(empty_url, before)
    with open_for_migration(empty_url) as connection:
        fill(connection)
        rows = read(connection)
    for revision, is_down in ((after, False), (before, True), (after, False)):
        move(empty_url, revision, down=is_down)
        with open_for_migration(empty_url) as connection:
            assert read(connection, rows) == rows
    with open_for_migration(empty_url) as connection:
        if before != "base":
            assert all(len(found) >= ROWS_A_TABLE for found in rows.values())
        names = {table.name for table in tables_of(connection)}
    move(empty_url, "base", down=True)
    with open_for_migration(empty_url) as connection:
        assert tables_of(connection) == []
    assert names


def test_there_is_one_newest_revision() -> None:
    assert len(SCRIPTS.get_heads()) == 1


@pytest.mark.slow
def test_rows_can_be_drawn_for_every_table_of_the_newest_revision(empty_url: str) -> None:
    move(empty_url, "head")
    with open_for_migration(empty_url) as connection:
        fill(connection)
        assert all(len(found) >= ROWS_A_TABLE for found in read(connection).values())
