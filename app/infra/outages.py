"""List the errors that are raised while the database, the store or the queue is away, and that pass by themselves."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionInTimeError

from app.domain.errors import DiskFullError, QueueUnavailableError, StoreUnavailableError

DATABASE_AWAY = (OperationalError, InterfaceError, NoConnectionInTimeError)
"""Errors of SQLAlchemy while the database restarts or cannot be reached."""
OUTAGES = (*DATABASE_AWAY, StoreUnavailableError, QueueUnavailableError, DiskFullError)
"""Errors after which a later try may succeed."""
