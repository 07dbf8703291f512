"""Keep the lease of a running job, and tell the loop at its next step when it has to stop."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import StaleLeaseError
from app.infra.database import SessionFactory
from app.infra.leases import Lease, LeaseRepository

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
        self._thread = threading.Thread(
            # Its lines carry what is bound to the attempt's.
            target=contextvars.copy_context().run,
            args=(self._beat,),
            name=f"heartbeat-{lease.job_id}",
            daemon=True,
        )

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._has_ended.set()
        self._thread.join()

    def check(self) -> None:
        """Call between two steps.

        Raises:
            StaleLeaseError: another worker has the job, or it has ended.
            CancelRequestedError: the user cancelled it.
            StopRequestedError: the worker process is asked to end.
        """
        if self._lost is not None:
            raise self._lost
        if self._is_cancel_requested:
            raise CancelRequestedError
        if self._stop.is_set():
            raise StopRequestedError

    def note_cancel(self, is_cancel_requested: bool) -> None:
        """Take over what another write has learnt of the row's cancel flag."""
        self._is_cancel_requested |= is_cancel_requested

    def renew(self) -> None:
        """Renew the lease now, before something that only its holder may do; raises StaleLeaseError."""
        with self._session_factory.begin() as session:
            is_cancelled = LeaseRepository(session).renew(self._lease, self._lease_seconds, self._clock())
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
            except SQLAlchemyError as error:
                # An outage shorter than the lease costs nothing; a longer one costs the lease, which the next write learns.
                _log.warning("lease_not_renewed", job_id=self._lease.job_id, reason=str(error))
