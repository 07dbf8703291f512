"""Name what is raised while the database, the store or the queue is away: trouble that passes, and nobody's fault."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionInTimeError

from app.domain.errors import DiskFullError, QueueUnavailableError, StoreUnavailableError

DATABASE_AWAY = (OperationalError, InterfaceError, NoConnectionInTimeError)
"""What a database that restarts, or cannot be reached, makes SQLAlchemy raise."""
OUTAGES = (*DATABASE_AWAY, StoreUnavailableError, QueueUnavailableError, DiskFullError)
"""What may go well when it is tried again a little later."""
