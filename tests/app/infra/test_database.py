import multiprocessing
import sqlite3
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from app.infra.database import make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.tables import Base


def test_migrations_give_exactly_the_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": Base.metadata})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)


@pytest.mark.slow
def test_processes_that_start_at_once_all_find_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'vtt.sqlite'}"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(migrate, [url] * 4, chunksize=1)
    engine = make_engine(url)
    assert "jobs" in inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.services
def test_a_plain_postgresql_url_uses_psycopg(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    assert engine.driver == "psycopg"
    engine.dispose()


def test_sqlite_is_opened_with_wal_and_foreign_keys(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000
    engine.dispose()


def test_a_reader_does_not_wait_for_a_writer(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    writers, readers = make_session_factory(engine), make_reader_factory(engine)
    with writers.begin() as writer:
        writer.execute(text("INSERT INTO support_sets (id, name, empty_labels, created_at) VALUES ('set_1', '', '[]', '')"))
        started = time.monotonic()
        with readers.begin() as reader:
            assert reader.scalar(text("SELECT count(*) FROM support_sets")) == 0
        assert time.monotonic() - started < 5
    engine.dispose()


def test_a_writer_holds_the_write_lock_from_its_first_statement(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    with make_session_factory(engine).begin() as writer:
        writer.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()


@pytest.mark.services
def test_a_process_that_stands_still_in_a_transaction_does_not_hold_rows_for_ever(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "20s"
    engine.dispose()


@pytest.mark.services
def test_the_url_may_choose_its_own_timeouts(postgres_url: str) -> None:
    engine = make_engine(f"{postgres_url}&connect_timeout=7")
    with engine.connect() as connection:
        assert connection.connection.driver_connection.info.get_parameters()["connect_timeout"] == "7"  # type: ignore[union-attr]
    engine.dispose()
