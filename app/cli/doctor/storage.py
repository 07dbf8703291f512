"""Check where things are stored: data folder, disks, database, store, Redis, and the workers that announce themselves there."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import redis
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from app.cli.doctor.findings import Finding, note, ok, problem
from app.domain.errors import QueueUnavailableError, StoreUnavailableError
from app.infra.database import known_revisions, make_engine, newest_revision
from app.infra.disk import make_disk_space
from app.infra.object_store import ObjectStore
from app.infra.queue import connect_redis
from app.infra.redis_server import find_redis_server
from app.infra.settings import Settings
from app.infra.workers import WorkerRegistry
from vtt_core.contract.extras import install_extra

SQLITE_WAIT_SECONDS = 5.0
LONGEST_REASON = 200
"""Characters that are shown of an error of another program."""


def check_disks(settings: Settings) -> Iterator[Finding]:
    """Check the data folder, and the free space of each disk that is written to."""
    folder = settings.data_dir
    if settings.database_url and settings.store_url and settings.broker_url:
        yield ok("data folder", "not used: database, store and Redis are elsewhere")
    elif (reason := why_not_writable(folder)) is not None:
        remedy = "Choose another folder with --data-dir or VTT_DATA_DIR, or let this user write to it"
        yield problem("data folder", f"{str(folder)!r}: {reason}", remedy)
    elif folder.exists():
        yield ok("data folder", str(folder.resolve()))
    else:
        yield note("data folder", f"{folder.resolve()} does not exist yet; the first start makes it")
    for volume in make_disk_space(settings).volumes():
        megabytes = f"{volume.free_bytes / 1e6:,.0f} MB free, {volume.reserve_bytes / 1e6:,.0f} MB of them are kept back"
        part = f"disk, {volume.name}"
        if volume.is_low:
            remedy = "Free some space: below the reserve, uploads and jobs are refused with 507"
            yield problem(part, f"{megabytes} ({volume.folder})", remedy)
        else:
            yield ok(part, megabytes)


def why_not_writable(folder: Path) -> str | None:
    """Say why a folder cannot be written to or created, and leave nothing behind; None if it can."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        return f"{str(nearest)!r} is a file"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"this user may not write to {str(nearest)!r}"
    try:
        with tempfile.TemporaryFile(dir=nearest):  # the rights do not say it all, for example in /proc
            return None
    except OSError as error:
        return f"nothing can be written to {str(nearest)!r} ({os.strerror(error.errno) if error.errno else error})"


def check_database(settings: Settings) -> Finding:
    """Check that the database answers, and which revision its tables have."""
    part, url = "database", settings.resolved_database_url
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
        if kind not in {"sqlite", "postgresql"}:
            return problem(part, f"{kind!r} is not supported", "Set VTT_DATABASE_URL to postgresql://... or sqlite:///...")
        shown = parsed.database if kind == "sqlite" else parsed.render_as_string(hide_password=True)
        if kind == "sqlite" and not Path(parsed.database or "").is_file():
            return note(part, f"{shown} does not exist yet; the first start makes it")
        revision = read_revision(url)
    except ModuleNotFoundError:
        return problem(part, "the package for PostgreSQL is missing", install_extra("postgres"))
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        remedy = "Start the database, or correct VTT_DATABASE_URL"
        return problem(part, f"no answer: {reason_of(getattr(error, 'orig', None) or error)}", remedy)
    newest = newest_revision()
    if revision is None:
        return note(part, f"{shown} answers and has no tables yet; the first start makes them")
    if revision == newest:
        return ok(part, f"{shown} answers, revision {revision}")
    if revision in known_revisions():
        return note(
            part, f"{shown} has revision {revision}, this version works on {newest}", "Make a backup; the next start migrates"
        )
    return problem(
        part, f"{shown} has revision {revision}, which is newer than this version", "Install the newer version again"
    )


def read_revision(url: str) -> str | None:
    """Return the revision of the tables, None if there are none. Nothing is written, not even a file of SQLite's."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        rows = read_sqlite(Path(parsed.database or ""), "SELECT version_num FROM alembic_version", "alembic_version")
        return str(rows[0][0]) if rows else None
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
                return None
            return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
    finally:
        engine.dispose()


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a file of SQLite so that nothing is written, not even beside it."""
    # A log beside the file means that a service has it open. Otherwise SQLite must not make one: hence `immutable`.
    is_open = path.with_name(f"{path.name}-wal").exists()
    address = f"file:{quote(str(path))}?mode=ro" + ("" if is_open else "&immutable=1")
    return sqlite3.connect(address, uri=True, timeout=SQLITE_WAIT_SECONDS)


def read_sqlite(path: Path, statement: str, table: str) -> list[Any]:
    """Return the rows of a statement, or none if the table is missing."""
    with closing(open_sqlite(path)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is None:
            return []
        return connection.execute(statement).fetchall()


def check_store(settings: Settings) -> Finding:
    """Check that the store of images and adapters answers."""
    part, url = "store", settings.resolved_store_url
    if url.startswith("file://"):
        folder = Path(url.removeprefix("file://"))
        reason = why_not_writable(folder)
        if reason is not None:
            return problem(part, reason, "Correct VTT_STORE_URL, or let this user write there")
        return (
            ok(part, str(folder)) if folder.exists() else note(part, f"{folder} does not exist yet; the first upload makes it")
        )
    try:
        ObjectStore(url).ping()
    except ImportError as error:
        return problem(part, f"a package is missing: {reason_of(error)}", install_extra("s3"))
    except (StoreUnavailableError, OSError, ValueError) as error:
        got = error.got if isinstance(error, StoreUnavailableError) else reason_of(error)
        return problem(part, f"{url} does not answer: {got}", "Start the store, or correct VTT_STORE_URL and its credentials")
    return ok(part, f"{url} answers")


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Check that Redis answers, and which workers announce themselves there."""
    part, remedy = "redis", "Start Redis, or correct VTT_BROKER_URL; jobs wait meanwhile"
    if not settings.broker_url and not settings.redis_socket.exists():
        try:
            program = find_redis_server()
        except QueueUnavailableError as error:
            yield problem(part, f"there is no Redis server: {error.got}", error.remedy)
            return
        yield note(part, f"not running; `vtt up` starts {program}")
        return
    where = _without_password(settings.resolved_broker_url)
    try:
        with connect_redis(settings.resolved_broker_url) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        if not settings.broker_url:
            yield note(part, f"{where} was left behind and does not answer; `vtt up` replaces it")
        else:
            yield problem(part, f"{where} does not answer: {reason_of(error)}", remedy)
        return
    yield ok(part, f"{where} answers")
    yield _workers(settings)


def _workers(settings: Settings) -> Finding:
    registry = WorkerRegistry(settings.resolved_broker_url)
    try:
        found = registry.live_workers()
    except QueueUnavailableError as error:
        return problem("workers", error.got, error.remedy)
    finally:
        registry.close()
    if not found:
        return note("workers", "none has announced itself lately", "Start one with `vtt worker`, or all with `vtt up`")
    return ok("workers", ", ".join(f"{worker.holder} on {worker.device}, scan {worker.scan or 'unknown'}" for worker in found))


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_REASON]


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
