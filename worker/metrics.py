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
    """The worker had to stop or an outage lasted; the attempt does not count. Alerts may know the value by its old name."""
    CRASHED = "crashed"
    """Something unexpected was raised, too little memory included."""
    LEASE_LOST = "lease_lost"
    """Another worker has the job, or it has ended meanwhile."""


class WorkerMetrics:
    """The registry of one worker process."""

    def __init__(self, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._stopwatch = stopwatch
        self.attempts = Counter("vtt_attempts", "Attempts by how they ended", ["outcome"], registry=self.registry)
        self.attempt_seconds = Histogram(
            "vtt_attempt_seconds",
            "From the claim of a job to the end of the attempt",
            ["outcome"],
            buckets=JOB_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.job_seconds = Histogram(
            "vtt_job_seconds",
            "From the request for a job to its model, waiting included",
            buckets=JOB_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "vtt_step_seconds",
            "Duration of an optimiser step, progress and checkpoint included",
            buckets=STEP_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.running_jobs = Gauge("vtt_worker_jobs_in_hand", "Jobs that this worker works on", registry=self.registry)
        for outcome in Outcome:  # so that Prometheus can compute a rate from the first one on
            self.attempts.labels(outcome)
            self.attempt_seconds.labels(outcome)

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Count the attempt that the context holds, and time it."""
        attempt = Attempt()
        started_at = self._stopwatch()
        self.running_jobs.inc()
        try:
            yield attempt
        finally:
            self.running_jobs.dec()
            self.attempts.labels(attempt.outcome).inc()
            self.attempt_seconds.labels(attempt.outcome).observe(self._stopwatch() - started_at)

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
