"""Check whether there is a key with which the service can be used."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.cli.doctor.findings import Finding, note, ok, problem
from app.cli.doctor.storage import open_sqlite
from app.domain.access import Scope
from app.infra.access_repository import AccessRepository, is_valid
from app.infra.clock import utc_now
from app.infra.database import make_engine
from app.infra.settings import Settings
from app.infra.tables import ApiKeyRow

SOON = timedelta(days=14)
"""How long before it expires a key is named."""
MAKE_ONE = "Make one with `vtt keys create --tenant NAME`"
PART = "keys"


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Check that there are valid keys where they are asked for, and name those that end soon.

    A database that does not answer has a finding of its own.
    """
    try:
        keys = _read_keys(settings.resolved_database_url)
    except (SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError):
        return
    if settings.require_keys:
        yield from _judged(keys, utc_now())
    elif keys:
        yield note(PART, f"there are {len(keys)}, and no request needs one", "Set VTT_REQUIRE_KEYS=1, if that is not meant")


def _judged(keys: Sequence[tuple[ApiKeyRow, str]], now: datetime) -> Iterator[Finding]:
    valid = [(row, tenant) for row, tenant in keys if is_valid(row, now)]
    if not keys:
        yield problem(PART, "every request needs a key, and there is none", MAKE_ONE)
        return
    ended = Counter("revoked" if row.revoked_at is not None else "expired" for row, _ in keys if not is_valid(row, now))
    others = "".join(f", {count} {how}" for how, count in sorted(ended.items()))
    if not valid:
        yield problem(PART, f"every request needs a key, and none of them is valid{others.replace(',', ':', 1)}", MAKE_ONE)
        return
    yield ok(PART, f"{len(valid)} valid{others}")
    for scope in Scope:
        if not any(scope in row.scopes for row, _ in valid):
            yield note(PART, f"no valid key may {scope}", f"{MAKE_ONE} --scopes {scope}, if one is needed")
    for row, tenant in valid:
        if row.expires_at is not None and row.expires_at < now + SOON:
            ends = f"{row.expires_at:%Y-%m-%d %H:%M} UTC"
            yield note(PART, f"{row.id} of {tenant} expires on {ends}", f"`vtt keys create --tenant {tenant}` makes another")


def _read_keys(url: str) -> list[tuple[ApiKeyRow, str]]:
    """Return the keys with their tenants; none where there is no database yet. Nothing is written."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        if not path.is_file():
            return []
        return _keys_of(create_engine("sqlite://", creator=lambda: open_sqlite(path)))
    return _keys_of(make_engine(url))


def _keys_of(engine: Engine) -> list[tuple[ApiKeyRow, str]]:
    try:
        if not inspect(engine).has_table(ApiKeyRow.__tablename__):
            return []
        with Session(engine, expire_on_commit=False) as session:
            return AccessRepository(session).keys()
    finally:
        engine.dispose()
