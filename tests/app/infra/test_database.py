import multiprocessing
import sqlite3
import time
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event, inspect, text

from app.domain.access import DEFAULT_TENANT_ID
from app.infra.database import make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.tables import Base


def test_migrations_give_exactly_the_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": Base.metadata})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing_and_reads_no_rows(database_url: str) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        migrate(database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("alembic_version" in statement for statement in statements)
    assert not any("foreign_key_check" in statement for statement in statements)


def upgrade_to(url: str, revision: str) -> None:
    engine = make_engine(url, enforces_foreign_keys=False)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(files("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_sqlite_rows_survive_the_tenants(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'vtt.sqlite'}"
    upgrade_to(url, "0002")
    engine = make_engine(url)
    rows = {
        "support_sets": "(id, name, empty_labels, created_at) VALUES ('set_1', '', '[]', '2026-01-01')",
        "support_images": "(id, support_set_id, label, position, file_name, sha256, size_bytes, width, height, image_format, "
        "blob_key, created_at) VALUES ('img_1', 'set_1', 'a', 0, '', '', 1, 1, 1, 'PNG', 'k', '2026-01-01')",
        "jobs": "(id, support_set_id, name, backbone_id, recipe, seed, state, attempt, fencing_token, is_cancel_requested, "
        "step, num_steps, request_sha256, created_at) VALUES "
        "('job_1', 'set_1', '', 'mini', '{}', 1, 'queued', 0, 0, 0, 0, 9, '', '2026-01-01')",
        "job_events": "(job_id, kind, payload, created_at) VALUES ('job_1', 'state', '{}', '2026-01-01')",
        "models": "(id, job_id, name, backbone_id, backbone_sha256, labels, recipe, metrics, adapter_key, adapter_bytes, "
        "created_at) VALUES ('mdl_1', 'job_1', '', 'mini', '', '[]', '{}', '{}', 'k', 1, '2026-01-01')",
        "aliases": "(name, model_id, updated_at) VALUES ('best', 'mdl_1', '2026-01-01')",
    }
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(text(f"INSERT INTO {table} {values}"))
    migrate(url)
    with engine.begin() as connection:
        assert {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in rows} == dict.fromkeys(rows, 1)
        assert connection.scalar(text("SELECT tenant_id FROM jobs")) == DEFAULT_TENANT_ID
    engine.dispose()


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
        assert time.monotonic() - started < 20
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
