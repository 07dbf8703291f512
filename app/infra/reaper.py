"""Bring lost jobs back: expired leases, and queued jobs whose message has vanished."""

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
    with session_factory.begin() as session:
        released = JobRepository(session).release_expired(now)
        for job_id in released:
            _log.warning("lease_expired", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    depth = queue.depth()
    with session_factory.begin() as session:
        jobs = JobRepository(session)
        # A long queue is no loss: messages are missing only where fewer wait than jobs do.
        vanished = jobs.unsent(now, resend_seconds) if depth < jobs.count_by_state()[JobState.QUEUED] else []
        jobs.mark_sent(vanished, now)
        for job_id in vanished:
            _log.warning("message_vanished", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    return released + vanished


class Reaper(threading.Thread):
    """Sweeps every few seconds until it is stopped; outages of database and broker are waited out."""

    def __init__(
        self,
        session_factory: SessionFactory,
        queue: JobQueue,
        pause_seconds: float,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(name="reaper", daemon=True)
        self._session_factory = session_factory
        self._queue = queue
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sweep until stopped."""
        is_queue_away = False
        while not self._stopped.is_set():
            try:
                sweep_once(self._session_factory, self._queue, self._clock())
                is_queue_away = False
            except QueueUnavailableError as error:
                if not is_queue_away:
                    _log.warning("reaper_waits_for_queue", reason=error.got)
                is_queue_away = True
            except Exception:
                _log.exception("sweep_failed")
            self._stopped.wait(self._pause_seconds)

    def stop(self) -> None:
        """End the thread after the sweep it is in."""
        self._stopped.set()
        self.join()
