"""Queue the work of lost workers again, resend lost messages, and delete files and rows that nobody needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from app.domain.messages import FinetuneMessage
from app.infra.benchmarks import clear_unwanted
from app.infra.checkpoints import clear_ended_jobs
from app.infra.clearing import clear_batches, clear_exports
from app.infra.clock import utc_now
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository
from app.infra.object_store import ObjectStore
from app.infra.outages import DATABASE_AWAY, OUTAGES
from app.infra.outbox import send_after_commit
from app.infra.prediction_repository import PredictionRepository
from app.infra.queue import JobQueue
from app.infra.recovery import BATCHES, EXPORTS, release_expired_work, resend_vanished_work
from app.infra.settings import Settings

SWEEPS_PER_CLEARING = 12
"""Sweeps between two deletions of files that ended jobs and forgotten benchmarks have left; each lists the store twice."""
_log = structlog.get_logger(__name__)


def release_expired(session_factory: SessionFactory, queue: JobQueue, now: datetime) -> list[str]:
    """Queue the jobs with an expired lease again and return their ids; Redis need not answer."""
    with session_factory.begin() as session:
        released = JobRepository(session).release_expired(now)
        for job_id in released:
            _log.warning("lease_expired", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    return released


def resend_vanished(session_factory: SessionFactory, queue: JobQueue, now: datetime, after_seconds: float) -> list[str]:
    """Resend the lost messages of queued jobs and return the jobs' ids; raises QueueUnavailableError."""
    depth = queue.depth()
    with session_factory.begin() as session:
        jobs = JobRepository(session)
        # An old message may only be waiting in a long queue. Messages are lost if there are fewer of them than queued jobs.
        vanished = jobs.unsent(now, after_seconds) if depth < jobs.count_queued() else []
        jobs.mark_sent(vanished, now)
        for job_id in vanished:
            _log.warning("message_vanished", job_id=job_id)
            send_after_commit(session, queue, FinetuneMessage(job_id))
    return vanished


class Reaper(threading.Thread):
    """Sweeps every few seconds until it is stopped, and goes on after outages of database, broker and store.

    While the database is away no worker can renew its lease. So after an outage the reaper waits for the time of one lease
    before it takes jobs with an expired one. It does the same when it starts, since an outage may just have ended.

    Args:
        settings: its pauses, and how long leases last.
        session_factory: opens the database with the jobs.
        queue: sends the messages.
        store: holds the checkpoints.
        clock: returns the current time, for the rows.
    """

    def __init__(
        self,
        settings: Settings,
        session_factory: SessionFactory,
        queue: JobQueue,
        store: ObjectStore,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(name="reaper", daemon=True)
        self._settings = settings
        self._session_factory = session_factory
        self._queue = queue
        self._store = store
        self._clock = clock
        self._stopped = threading.Event()
        self._spares_until = self._clears_at = 0.0
        self._outage: type[Exception] | None = None
        self.num_expired = 0
        """Expired leases since the start."""
        self.num_resent = 0
        """Messages sent again since the start."""

    def run(self) -> None:
        """Sweep until stopped."""
        self._spares_until = time.monotonic() + self._settings.lease_seconds
        while not self._stopped.is_set():
            try:
                self.sweep(time.monotonic())
                self._outage = None
            except OUTAGES as error:
                if self._outage is not type(error):
                    _log.warning("reaper_waits", reason=str(error)[:300])
                self._outage = type(error)
            except Exception:
                _log.exception("sweep_failed")
            self._stopped.wait(self._settings.reaper_seconds)

    def sweep(self, elapsed: float) -> None:
        """Do what is due now.

        Args:
            elapsed: monotonic seconds.

        Raises:
            OUTAGES: database, broker or store is away.
        """
        try:
            if elapsed >= self._spares_until:
                self.num_expired += len(release_expired(self._session_factory, self._queue, self._clock()))
                for work in (BATCHES, EXPORTS):
                    release_expired_work(work, self._session_factory, self._queue, self._clock())
            self._purge()
            after_seconds = self._settings.requeue_after_seconds
            self.num_resent += len(resend_vanished(self._session_factory, self._queue, self._clock(), after_seconds))
            for work in (BATCHES, EXPORTS):
                resend_vanished_work(work, self._session_factory, self._queue, self._clock(), after_seconds)
        except DATABASE_AWAY:
            self._spares_until = elapsed + self._settings.lease_seconds
            raise
        if elapsed >= self._clears_at:
            self._clears_at = elapsed + SWEEPS_PER_CLEARING * self._settings.reaper_seconds
            for job_id in clear_ended_jobs(self._session_factory, self._store):
                _log.info("cleared", job_id=job_id)
            for batch_id in clear_batches(self._session_factory, self._store, self._clock()):
                _log.info("cleared", batch_id=batch_id)
            for export_id in clear_exports(self._session_factory, self._store):
                _log.info("cleared", export_id=export_id)
            for benchmark_id in clear_unwanted(self._store, self._clock()):
                _log.info("cleared", benchmark_id=benchmark_id)

    def _purge(self) -> None:
        with self._session_factory.begin() as session:
            purged = PredictionRepository(session).purge(self._clock(), self._settings.prediction_retention_days)
        if purged:
            _log.info("predictions_purged", num_rows=purged)

    def stop(self) -> None:
        """End the thread after the current sweep."""
        self._stopped.set()
        self.join()
