"""Write everything that cannot be recreated into one file: the rows of one moment, then the blobs that they name.

Rows come first: the bytes under a key never change their meaning, so bytes that are read later still fit the rows. Blobs that
were deleted in between are noted, and a restore leaves their rows out.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select

from app.domain.batches import BatchState
from app.domain.errors import BlobMissingError, NothingToBackUpError
from app.domain.exports import ExportState
from app.infra.backup_archive import BLOBS, FORMAT, TABLES, ArchiveWriter, Manifest
from app.infra.batch_blobs import results_prefix
from app.infra.database import make_engine
from app.infra.object_store import ObjectStore
from app.infra.row_lines import encode_row, tables_of
from app.infra.tables import BatchRow, EvaluationImageRow, ExportRow, ModelRow, SupportImageRow

ROWS_AT_ONCE = 500


def write_backup(path: Path, database_url: str, store: ObjectStore, now: datetime) -> Manifest:
    """Write a backup to a file, which appears only once it is complete.

    Args:
        path: the file; an existing one is replaced.
        database_url: the database to read, at any revision.
        store: the store with the blobs.
        now: the current time.

    Raises:
        NothingToBackUpError: the database has no tables of this service.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream, TemporaryFile() as checksums, TemporaryFile() as keys:
            writer = ArchiveWriter(stream, checksums, now.timestamp())
            with _snapshot(database_url) as connection:
                revision = _revision_of(connection)
                tables = dict(_write_tables(writer, connection))
                _write_blob_keys(keys, connection)
            num_blobs, missing = _write_blobs(writer, keys, store)
            manifest = writer.finish(
                Manifest(FORMAT, revision, version("vtt-service"), now.isoformat(), tables, num_blobs, missing)
            )
        part.replace(path)
        return manifest
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _snapshot(database_url: str) -> Iterator[Connection]:
    """Yield a connection that sees all tables as they are at one moment."""
    engine = make_engine(database_url)
    is_sqlite = engine.dialect.name == "sqlite"
    options = {"sqlite_begin": "DEFERRED"} if is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        with engine.connect().execution_options(**options) as connection:
            yield connection
    finally:
        engine.dispose()


def _revision_of(connection: Connection) -> str:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise NothingToBackUpError(
            expected="a database that this service has used",
            got=f"no such tables in {connection.engine.url.render_as_string()!r}",
            remedy="Check VTT_DATABASE_URL and VTT_DATA_DIR",
        )
    return revision


def _write_tables(writer: ArchiveWriter, connection: Connection) -> Iterator[tuple[str, int]]:
    for table in tables_of(connection):
        num_rows = 0
        with TemporaryFile() as lines:
            statement = select(table).order_by(*table.primary_key.columns)
            for row in connection.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE}).mappings():
                lines.write(encode_row(dict(row)))
                num_rows += 1
            writer.add(f"{TABLES}{table.name}.jsonl", lines)
        yield table.name, num_rows


def _write_blob_keys(keys: IO[bytes], connection: Connection) -> None:
    """Write (table, id, key) of every row that names blobs and was not deleted."""
    images = select(SupportImageRow.id, SupportImageRow.blob_key)
    evaluated = select(EvaluationImageRow.id, EvaluationImageRow.blob_key)
    models = select(ModelRow.id, ModelRow.adapter_key).where(ModelRow.deleted_at.is_(None))
    has_results = (BatchRow.state == BatchState.SUCCEEDED, BatchRow.deleted_at.is_(None))
    batches = select(BatchRow.id, BatchRow.blob_key).where(*has_results)
    exports = select(ExportRow.id, ExportRow.blob_key).where(ExportRow.state == ExportState.SUCCEEDED)
    named = (
        (SupportImageRow, images),
        (EvaluationImageRow, evaluated),
        (ModelRow, models),
        (BatchRow, batches),
        (ExportRow, exports),
    )
    known = set(inspect(connection).get_table_names())  # an older database may lack the newest tables
    for table, statement in ((row.__tablename__, rows) for row, rows in named if row.__tablename__ in known):
        for row_id, key in connection.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE}):
            keys.write(json.dumps([table, row_id, key]).encode() + b"\n")


def _write_blobs(writer: ArchiveWriter, keys: IO[bytes], store: ObjectStore) -> tuple[int, list[list[str]]]:
    num_blobs = 0
    missing: list[list[str]] = []
    keys.seek(0)
    for line in keys:
        table, row_id, key = json.loads(line)
        try:
            names = _blobs_of(table, key, store)
            for name in names:
                writer.add(f"{BLOBS}{name}", io.BytesIO(store.get(name)))
        except BlobMissingError:
            names = []
        if not names:
            missing.append([table, row_id])
        num_blobs += len(names)
    return num_blobs, missing


def _blobs_of(table: str, key: str, store: ObjectStore) -> list[str]:
    if table == BatchRow.__tablename__:  # the results alone, never the images
        return store.keys(results_prefix(key))
    return store.keys(key) if table in (ModelRow.__tablename__, ExportRow.__tablename__) else [key]
