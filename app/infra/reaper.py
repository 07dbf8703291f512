"""Bring lost jobs back: expired leases, and queued jobs whose message has vanished; and delete what was kept long enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from app.domain.errors import QueueUnavailableError
from app.domain.jobs import JobState
from app.domain.messages import FinetuneMessage
from app.infra.clock import utc_now
from app.infra.database import SessionFactory
from app.infra.jobs import JobRepository
from app.infra.outbox import send_after_commit
from app.infra.predictions import PredictionRepository
from app.infra.queue import JobQueue

RESEND_SECONDS = 20.0
"""Age of a message after which its loss is looked into."""
_log = structlog.get_logger(__name__)


def sweep_once(
    session_factory: SessionFactory, queue: JobQueue, now: datetime, resend_seconds: float = RESEND_SECONDS
) -> list[str]:
    """Queue expired jobs again and send what has no message any more.

    Two reapers at once do no harm: rows are locked, and a message that comes twice runs once.

    Returns:
        Ids of the jobs that a message was sent for.

    Raises:
        QueueUnavailableError: Redis cannot be reached; expired jobs are queued again nevertheless.
    """
    released = release_expired(session_factory, queue, now)
    return released + resend_vanished(session_factory, queue, now, resend_seconds)


def release_expired(session_factory: SessionFactory, queue: JobQueue, now: datetime) -> list[str]:
    """Queue the jobs of workers that fell silent again, and return their ids; Redis need not answer."""
    with session_factory.begin() as session:
        released = JobRepository(session).release_expired(now)
        for job_id in released:
            _log.warning("lease_expired", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    return released


def resend_vanished(session_factory: SessionFactory, queue: JobQueue, now: datetime, resend_seconds: float) -> list[str]:
    """Send queued jobs whose message has vanished again, and return their ids; raises QueueUnavailableError."""
    depth = queue.depth()
    with session_factory.begin() as session:
        jobs = JobRepository(session)
        # A long queue is no loss: messages are missing only where fewer wait than jobs do.
        vanished = jobs.unsent(now, resend_seconds) if depth < jobs.count_by_state()[JobState.QUEUED] else []
        jobs.mark_sent(vanished, now)
        for job_id in vanished:
            _log.warning("message_vanished", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    return vanished


class Reaper(threading.Thread):
    """Sweeps every few seconds until it is stopped; outages of database and broker are waited out."""

    def __init__(
        self,
        session_factory: SessionFactory,
        queue: JobQueue,
        pause_seconds: float,
        prediction_retention_days: float = 0.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(name="reaper", daemon=True)
        self._session_factory = session_factory
        self._queue = queue
        self._pause_seconds = pause_seconds
        self._prediction_retention_days = prediction_retention_days
        self._clock = clock
        self._stopped = threading.Event()
        self.num_expired = 0
        """Jobs taken from silent workers since the start."""
        self.num_resent = 0
        """Messages sent again since the start."""

    def run(self) -> None:
        """Sweep until stopped."""
        is_queue_away = False
        while not self._stopped.is_set():
            try:
                self.num_expired += len(release_expired(self._session_factory, self._queue, self._clock()))
                self._purge()
                self.num_resent += len(resend_vanished(self._session_factory, self._queue, self._clock(), RESEND_SECONDS))
                is_queue_away = False
            except QueueUnavailableError as error:
                if not is_queue_away:
                    _log.warning("reaper_waits_for_queue", reason=error.got)
                is_queue_away = True
            except Exception:
                _log.exception("sweep_failed")
            self._stopped.wait(self._pause_seconds)

    def _purge(self) -> None:
        with self._session_factory.begin() as session:
            purged = PredictionRepository(session).purge(self._clock(), self._prediction_retention_days)
        if purged:
            _log.info("predictions_purged", num_rows=purged)

    def stop(self) -> None:
        """End the thread after the sweep it is in."""
        self._stopped.set()
        self.join()
