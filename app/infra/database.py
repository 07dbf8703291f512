"""Open the database, SQLite or PostgreSQL, and bring its tables up to date.

SQLite locks the whole file for one writer. A transaction that reads first and writes later fails at once if another one has
written in between, whatever the busy timeout is. So transactions begin by waiting for the write lock (`BEGIN IMMEDIATE`).
Those that only read begin without it and never wait.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session, sessionmaker

from app.infra.json_columns import dump_json
from app.infra.outbox import install_outbox
from app.infra.tenancy import install_tenancy

# Unlike structlog's, it is silent in a command that has set up no log.
_log = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a SQLite writer waits for another one."""
SQLITE_CONNECTIONS = 64
"""That stay open, the one that was used last being the first to be used again: as many as threads that answer predictions.
Each costs a few files; those that a busy process opened beyond the pool's usual five were closed after every statement."""
MIGRATION_LOCK = 0x5674_5400
"""Key of the PostgreSQL advisory lock that lets one process migrate at a time."""
MIGRATION_LOCK_TIMEOUT = "5s"
"""How long a migration may wait for a table lock. Every later statement on that table waits behind it."""

LIBPQ_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""With these, a server whose machine has vanished is noticed in seconds and not in hours."""
IDLE_IN_TRANSACTION_TIMEOUT = "20s"
"""When PostgreSQL ends the transaction of a process that hangs in it, and frees the row locks that others wait for."""

SessionFactory = sessionmaker[Session]


def make_engine(url: str, *, enforces_foreign_keys: bool = True) -> Engine:
    """Return an engine with the options that this service relies on.

    Args:
        url: `sqlite:///path` or `postgresql://...` (with psycopg 3).
        enforces_foreign_keys: for SQLite. Migrations switch this off, since they copy a table and drop the old one, which
            would delete the rows that refer to it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            json_serializer=dump_json,
            connect_args={name: value for name, value in LIBPQ_OPTIONS.items() if name not in parsed.query},
        )
        event.listen(engine, "connect", _limit_idle_transactions)
        return engine
    pool: dict[str, Any] = {}
    if parsed.database:
        _create_wal_file(Path(parsed.database))
        pool = {"pool_size": SQLITE_CONNECTIONS, "pool_use_lifo": True}
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, json_serializer=dump_json, **pool)
    if enforces_foreign_keys:
        event.listen(engine, "connect", _enforce_foreign_keys)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_session_factory(engine: Engine) -> SessionFactory:
    """Return a factory of sessions that may write; the messages in their outbox are sent after the commit."""
    return install_outbox(install_tenancy(sessionmaker(engine, expire_on_commit=False)))


def make_reader_factory(engine: Engine) -> SessionFactory:
    """Return a factory of sessions that only read, so they never wait for a SQLite writer."""
    return install_tenancy(sessionmaker(engine.execution_options(sqlite_begin="DEFERRED"), expire_on_commit=False))


def without_transactions(engine: Engine) -> Engine:
    """Return the engine for reads of a single statement each, which is all that is sent."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine.execution_options(sqlite_begin=None)


def migrate(url: str) -> None:
    """Bring the tables to the newest revision. Several processes may call this at the same time."""
    # One line of each of a dozen revisions, at the first start, tells nobody anything.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if _is_newest(url):  # looked up apart, since a migration of SQLite ends with a check of every row
        return
    with open_for_migration(url) as connection:
        before, newest = _revision(connection), newest_revision()
        if before == newest:
            return
        command.upgrade(alembic_config(connection), newest)
    _log.info("tables_brought_up_to_date from %s to %s", before, newest)


@cache
def newest_revision() -> str:
    """Return the revision of the tables that this code works on. Reading all revisions takes longer than one question."""
    newest = ScriptDirectory(str(files("migrations"))).get_current_head()
    assert newest is not None
    return newest


def known_revisions() -> set[str]:
    """Return all revisions that this code can start from."""
    return {script.revision for script in ScriptDirectory(str(files("migrations"))).walk_revisions()}


@contextmanager
def open_for_migration(url: str) -> Iterator[Connection]:
    """Yield one transaction in which tables may change, while no other process changes them.

    To change a table, SQLite copies it and drops the old one, which would delete the rows that refer to it. So foreign keys
    are not enforced meanwhile, and all of them are checked at the end.
    """
    engine = make_engine(url, enforces_foreign_keys=False)
    is_sqlite = engine.dialect.name == "sqlite"
    try:
        with engine.begin() as connection:
            hold_migration_lock(connection)
            yield connection
            broken = connection.execute(text("PRAGMA foreign_key_check")).all() if is_sqlite else []
            assert not broken, f"the migration has broken foreign keys: {broken[:5]}"
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return the configuration with which alembic's commands run in the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config


def hold_migration_lock(connection: Connection) -> None:
    """Wait until no other process migrates. On SQLite the transaction has already waited for the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_TIMEOUT}'"))


def _is_newest(url: str) -> bool:
    engine = make_engine(url)
    try:
        with engine.execution_options(sqlite_begin="DEFERRED").connect() as connection:
            return _revision(connection) == newest_revision()
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _create_wal_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)) as connection:
        # The switch to WAL needs an exclusive lock but does not wait for one, so wait here. The file keeps the mode.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")


def _limit_idle_transactions(dbapi_connection: Any, _record: object) -> None:
    # By a statement, since connection poolers refuse most options of a connection.
    dbapi_connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_TIMEOUT}'")
    dbapi_connection.commit()


def _leave_transactions_to_us(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None


def _enforce_foreign_keys(dbapi_connection: Any, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    if kind is not None:
        connection.exec_driver_sql(f"BEGIN {kind}")
