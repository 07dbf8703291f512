"""Renew the lease of running work, and tell its loop when it has to stop."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from app.domain.errors import StaleLeaseError
from app.infra.database import SessionFactory

STAND_STILL_SECONDS = 0.1
"""Pause between two checks whether an expired lease has been renewed."""
_log = structlog.get_logger(__name__)


class JobInterruptedError(Exception):
    """The training loop has to stop after this step, although nothing went wrong."""


class CancelRequestedError(JobInterruptedError):
    """The user wants the job cancelled."""


class StopRequestedError(JobInterruptedError):
    """The worker process is asked to end."""


class Held(Protocol):
    """A lease on anything."""

    @property
    def work_id(self) -> str:
        """What is held."""

    def renew(self, session: Session, lease_seconds: float, now: datetime) -> bool:
        """Extend the lease; return whether its user wants the work to stop; raises StaleLeaseError."""


class Heartbeat:
    """Renews a lease in a thread of its own, as long as the context lasts.

    Args:
        session_factory: opens the database with the job's row.
        lease: the lease to renew.
        lease_seconds: how long it lasts after each renewal.
        pause_seconds: pause between two renewals.
        stop: set when the worker process is asked to end.
        clock: returns the current time.
    """

    def __init__(
        self,
        session_factory: SessionFactory,
        lease: Held,
        *,
        lease_seconds: float,
        pause_seconds: float,
        stop: threading.Event,
        clock: Callable[[], datetime],
    ) -> None:
        self._session_factory = session_factory
        self._lease = lease
        self._lease_seconds = lease_seconds
        self._pause_seconds = pause_seconds
        self._stop = stop
        self._clock = clock
        self._has_ended = threading.Event()
        self._is_cancel_requested = False
        self._lost: StaleLeaseError | None = None
        self._renewed_at = time.monotonic()
        self._thread = threading.Thread(
            # So that its log lines carry the ids of the attempt.
            target=contextvars.copy_context().run,
            args=(self._beat,),
            name=f"heartbeat-{lease.work_id}",
            daemon=True,
        )

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._has_ended.set()
        self._thread.join()

    def check(self) -> None:
        """Check between two steps whether the job may go on, and wait while the lease has expired.

        A lease expires when the database is away. Mostly it is away for all workers, so that none can take the job. Then the
        job goes on here as soon as the lease can be renewed.

        Raises:
            StaleLeaseError: another worker has the job, or it has ended.
            CancelRequestedError: the user cancelled it.
            StopRequestedError: the worker process is asked to end.
        """
        self._raise_interruption()
        if self._has_run_out():
            _log.warning("standing_still", work_id=self._lease.work_id)
        while self._has_run_out():
            time.sleep(STAND_STILL_SECONDS)
            self._raise_interruption()

    def _raise_interruption(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._is_cancel_requested:
            raise CancelRequestedError
        if self._stop.is_set():
            raise StopRequestedError

    def note_cancel(self, is_cancel_requested: bool) -> None:
        """Note what another write has read from the row's cancel flag."""
        self._is_cancel_requested |= is_cancel_requested

    def _has_run_out(self) -> bool:
        return time.monotonic() - self._renewed_at >= self._lease_seconds

    def renew(self) -> None:
        """Renew the lease now, before a write that only its holder may make; raises StaleLeaseError."""
        asked_at = time.monotonic()
        with self._session_factory.begin() as session:
            is_cancelled = self._lease.renew(session, self._lease_seconds, self._clock())
        self._renewed_at = asked_at
        self.note_cancel(is_cancelled)

    def _beat(self) -> None:
        while not self._has_ended.wait(self._pause_seconds):
            try:
                self.renew()
            except StaleLeaseError as error:
                if not self._has_ended.is_set():
                    _log.warning("lease_lost", work_id=self._lease.work_id)
                self._lost = error
                return
            except Exception as error:  # whatever it was, the next beat may succeed, and nothing else renews the lease
                _log.warning("lease_not_renewed", work_id=self._lease.work_id, reason=str(error)[:300])
