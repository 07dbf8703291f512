"""Count what this worker does, and serve the counts to Prometheus on a port of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from threading import Thread
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

STEP_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOB_BUCKETS_SECONDS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REQUEUED = "handed_back"
    """The work was queued again because the worker had to stop, an outage lasted or a quota was used up; it does not count."""
    CRASHED = "crashed"
    """Something unexpected was raised, too little memory included."""
    LEASE_LOST = "lease_lost"
    """Another worker has the work, or it has ended meanwhile."""


class AttemptMetrics:
    """Counts the attempts at one kind of work by how they ended, and times them.

    Args:
        prefix: of the names.
        work: what is attempted, for people.
        in_hand: how many run now.
        registry: that the metrics belong to.
        stopwatch: gives monotonic seconds.
    """

    def __init__(
        self, prefix: str, work: str, in_hand: Gauge, registry: CollectorRegistry, stopwatch: Callable[[], float]
    ) -> None:
        self._stopwatch = stopwatch
        self._in_hand = in_hand
        self._attempts = Counter(f"{prefix}attempts", f"Attempts at {work}, by how they ended", ["outcome"], registry=registry)
        self._seconds = Histogram(
            f"{prefix}attempt_seconds",
            f"From the claim to the end of an attempt at {work}",
            ["outcome"],
            buckets=JOB_BUCKETS_SECONDS,
            registry=registry,
        )
        for outcome in Outcome:  # so that Prometheus can compute a rate from the first one on
            self._attempts.labels(outcome)
            self._seconds.labels(outcome)

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Count the attempt that the context holds, and time it."""
        attempt = Attempt()
        started_at = self._stopwatch()
        self._in_hand.inc()
        try:
            yield attempt
        finally:
            self._in_hand.dec()
            self._attempts.labels(attempt.outcome).inc()
            self._seconds.labels(attempt.outcome).observe(self._stopwatch() - started_at)


class WorkerMetrics:
    """The registry of one worker process."""

    def __init__(self, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        in_hand = Gauge(
            "vtt_worker_jobs_in_hand", "Jobs, chunks of batches and exports that this worker works on", registry=self.registry
        )
        shared = in_hand, self.registry, stopwatch
        self.jobs = AttemptMetrics("vtt_", "a job", *shared)
        self.chunks = AttemptMetrics("vtt_chunk_", "a chunk of a batch", *shared)
        self.exports = AttemptMetrics("vtt_export_", "an export", *shared)
        self.job_seconds = self._whole("vtt_job_seconds", "From the request for a job to its model, waiting included")
        self.batch_seconds = self._whole(
            "vtt_background_batch_seconds", "From the request for a batch to its last result, waiting included"
        )
        self.export_seconds = self._whole("vtt_export_seconds", "From the first request for an export to its files")
        self.step_seconds = Histogram(
            "vtt_step_seconds",
            "Duration of an optimiser step, progress and checkpoint included",
            buckets=STEP_BUCKETS_SECONDS,
            registry=self.registry,
        )

    def _whole(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=JOB_BUCKETS_SECONDS, registry=self.registry)

    def serve(self, host: str, port: int) -> tuple[WSGIServer, Thread] | None:
        """Serve the metrics on the port in a thread, or do nothing if it is 0.

        If the port is taken, as by another worker on this machine, the worker runs without metrics.
        """
        if not port:
            return None
        try:
            return start_http_server(port, host, registry=self.registry)
        except OSError as error:
            _log.warning("metrics_not_served", host=host, port=port, reason=str(error))
            return None


class Attempt:
    """One attempt while it runs."""

    outcome: Outcome = Outcome.CRASHED
    """Stays a crash unless it is set: then an error was raised that nobody expected."""
