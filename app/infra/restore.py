"""Fill an empty installation from a backup: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.resources import files
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from alembic import command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.orm import Session

from app.domain.errors import BackupTooNewError, NotEmptyError
from app.domain.jobs import HELD_STATES, JobState
from app.infra.backup_archive import BLOBS, TABLES, Manifest, members_of, verify_archive
from app.infra.database import alembic_config, open_for_migration
from app.infra.job_writes import add_state_event
from app.infra.object_store import ObjectStore
from app.infra.row_lines import decode_row, insert_of, tables_of
from app.infra.tables import EvaluationImageRow, ExportRow, JobRow, ModelRow, SupportImageRow

ROWS_AT_ONCE = 500


def restore_backup(path: Path, database_url: str, store: ObjectStore, now: datetime) -> Manifest:
    """Restore everything in a backup, with the same ids and times; jobs that were running are queued again.

    The blobs are stored before the rows are committed, so rows never name missing blobs. A restore that fails leaves blobs
    that no row names, and can be repeated.

    Args:
        path: the archive.
        database_url: a database without rows of this service; the restore creates the tables.
        store: receives the blobs.
        now: the current time.

    Raises:
        BackupDamagedError: the archive is damaged or incomplete.
        BackupTooNewError: this version does not know the backup's tables.
        NotEmptyError: the database has rows already.
    """
    manifest = verify_archive(path)
    _check_known(manifest)
    with open_for_migration(database_url) as connection:
        _check_empty(connection)
        # The rows fit the tables of their own revision; the migrations then bring both to the newest one.
        _rebuild(connection, manifest.revision)
        _put_all(path, connection, store, manifest)
        _advance_sequences(connection)
        command.upgrade(alembic_config(connection), "head")
        _queue_held_jobs(connection, now)
    return manifest


def _check_known(manifest: Manifest) -> None:
    try:
        ScriptDirectory(str(files("migrations"))).get_revision(manifest.revision)
    except CommandError as error:
        raise BackupTooNewError(
            expected="a backup whose tables this version knows",
            got=f"revision {manifest.revision!r}, of version {manifest.service_version}",
            remedy="Restore it with that version or a newer one",
        ) from error


def _check_empty(connection: Connection) -> None:
    """Refuse a database with more rows than the migrations themselves add."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return
    expected = _count_new(revision)
    held = {name: count for name, count in _count(connection).items() if count > expected.get(name, 0)}
    if held:
        raise NotEmptyError(
            expected="a database without rows of this service",
            got=", ".join(f"{count} in {name}" for name, count in held.items()),
            remedy="Name a new one with VTT_DATABASE_URL or VTT_DATA_DIR",
        )


def _count_new(revision: str) -> dict[str, int]:
    """Return the number of rows by table in a new database at the revision."""
    with TemporaryDirectory() as folder, open_for_migration(f"sqlite:///{folder}/new.sqlite") as connection:
        command.upgrade(alembic_config(connection), revision)
        return _count(connection)


def _count(connection: Connection) -> dict[str, int]:
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables_of(connection)}


def _rebuild(connection: Connection, revision: str) -> None:
    """Recreate the tables at the revision, without the rows that migrations add: the backup has them."""
    config = alembic_config(connection)
    command.downgrade(config, "base")
    command.upgrade(config, revision)
    for table in reversed(tables_of(connection)):
        connection.execute(table.delete())


def _put_all(path: Path, connection: Connection, store: ObjectStore, manifest: Manifest) -> None:
    tables = {f"{TABLES}{table.name}.jsonl": table for table in tables_of(connection)}
    for name, content in members_of(path):
        if name.startswith(BLOBS):
            store.put(name.removeprefix(BLOBS), content.read())
        elif name in tables:
            _insert(connection, tables[name], content, manifest)


def _insert(connection: Connection, table: Table, lines: IO[bytes], manifest: Manifest) -> None:
    gone = {row_id for name, row_id in manifest.missing if name == table.name}
    rows = _without(gone, table, (decode_row(table, line) for line in lines), datetime.fromisoformat(manifest.created_at))
    while some := list(islice(rows, ROWS_AT_ONCE)):
        connection.execute(insert_of(table), some)


def _without(gone: set[str], table: Table, rows: Iterable[dict[str, Any]], moment: datetime) -> Iterator[dict[str, Any]]:
    """Leave out images and exports without bytes; mark models without bytes as deleted, since other rows may name them."""
    for row in rows:
        if row.get("id") not in gone:
            yield row
        elif table.name == ModelRow.__tablename__:
            yield {**row, "deleted_at": row["deleted_at"] or moment}
        else:
            assert table.name in (row.__tablename__ for row in (SupportImageRow, EvaluationImageRow, ExportRow)), table.name


def _advance_sequences(connection: Connection) -> None:
    """Let PostgreSQL continue from the highest restored id; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables_of(connection):
        for column in table.primary_key.columns:
            sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
            if sequence is not None and (highest := connection.scalar(select(func.max(column)))) is not None:
                connection.execute(text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest})


def _queue_held_jobs(connection: Connection, now: datetime) -> None:
    """Queue the jobs that were running when the backup was written; the attempt does not count."""
    with Session(connection, join_transaction_mode="create_savepoint") as session, session.begin():
        for row in session.scalars(select(JobRow).where(JobRow.state.in_(HELD_STATES))):
            row.state, row.attempt = JobState.QUEUED, max(0, row.attempt - 1)
            row.fencing_token += 1
            row.holder, row.lease_expires_at, row.enqueued_at = None, None, None
            add_state_event(session, row, now)
