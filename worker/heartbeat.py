"""Keep the lease of a running job, and tell the loop at its next step when it has to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

import structlog

from app.domain.errors import StaleLeaseError
from app.infra.database import SessionFactory
from app.infra.leases import Lease, LeaseRepository

STAND_STILL_SECONDS = 0.1
"""Pause between two looks whether a lease that could not be renewed has been."""
_log = structlog.get_logger(__name__)


class JobInterruptedError(Exception):
    """The loop stops between two steps; nothing went wrong."""


class CancelRequestedError(JobInterruptedError):
    """The user wants the job cancelled."""


class StopRequestedError(JobInterruptedError):
    """The worker process is asked to end."""


class Heartbeat:
    """Renews a lease in a thread of its own, as long as the context lasts.

    Args:
        session_factory: where the job's row is.
        lease: what to renew.
        lease_seconds: how long it lasts after each renewal.
        pause_seconds: between two renewals.
        stop: set when the worker process is asked to end.
        clock: gives the present moment.
    """

    def __init__(
        self,
        session_factory: SessionFactory,
        lease: Lease,
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
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{lease.job_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._has_ended.set()
        self._thread.join()

    def check(self) -> None:
        """Call between two steps; it stands still while the lease has run out and could not be renewed.

        Nobody else may have taken the job, since a database that is away for us mostly is for everybody: then
        the job goes on here as soon as it can be renewed.

        Raises:
            StaleLeaseError: another worker has the job, or it has ended.
            CancelRequestedError: the user cancelled it.
            StopRequestedError: the worker process is asked to end.
        """
        self._raise_interruption()
        if self._has_run_out():
            _log.warning("standing_still", job_id=self._lease.job_id)
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
        """Take over what another write has learnt of the row's cancel flag."""
        self._is_cancel_requested |= is_cancel_requested

    def _has_run_out(self) -> bool:
        return time.monotonic() - self._renewed_at >= self._lease_seconds

    def renew(self) -> None:
        """Renew the lease now, before something that only its holder may do; raises StaleLeaseError."""
        asked_at = time.monotonic()
        with self._session_factory.begin() as session:
            is_cancelled = LeaseRepository(session).renew(self._lease, self._lease_seconds, self._clock())
        self._renewed_at = asked_at
        self.note_cancel(is_cancelled)

    def _beat(self) -> None:
        while not self._has_ended.wait(self._pause_seconds):
            try:
                self.renew()
            except StaleLeaseError as error:
                if not self._has_ended.is_set():
                    _log.warning("lease_lost", job_id=self._lease.job_id)
                self._lost = error
                return
            except Exception as error:  # whatever it was, the next beat may do better, and nobody else renews
                _log.warning("lease_not_renewed", job_id=self._lease.job_id, reason=str(error)[:300])
