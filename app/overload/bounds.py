"""Create the limits of a process from its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anyio import CapacityLimiter

from app.infra.settings import Settings
from app.overload.admission_queue import AdmissionQueue, QueueBounds
from app.overload.body_pace import PaceBounds
from app.overload.connections import ConnectionTable, connection_bounds
from app.overload.request_limit import PlaceBounds, RequestLimit

HEALTH_THREADS = 4
UPLOAD_BYTES_PER_SECOND = 8e6
"""How fast uploads are checked, until it has been measured: a guess for photographs in JPEG on one slow core."""
CALIBRATION_BYTES = 32e6
"""How many bytes of real uploads the guess counts as."""

THUMBNAIL_THREADS = 2
"""Thumbnails that are made at once: each holds a whole decoded image, which may take 120 MB."""
THUMBNAIL_MAX_WAIT_SECONDS = 30.0
"""Seconds that a thumbnail may wait for those before it, by estimate."""
REPORT_MAX_WAIT_SECONDS = 30.0
"""Seconds that a report on a support set may wait for those before it, by estimate."""

EVALUATION_MAX_WAIT_SECONDS = 60.0
"""Seconds that an evaluation may wait for those before it, by estimate."""


@dataclass(frozen=True)
class Bounds:
    """The limits of one process, shared by all its requests."""

    requests: RequestLimit
    predictions: AdmissionQueue
    uploads: AdmissionQueue
    reports: AdmissionQueue
    """Reports on support sets, one at a time."""
    thumbnails: AdmissionQueue
    """Thumbnails that are not in the store yet; the units are pixels."""
    evaluations: AdmissionQueue
    """Evaluations, one at a time; each has only a few images among those of predictions."""
    connections: ConnectionTable
    health_threads: CapacityLimiter
    """Threads for health checks, so that they are answered however busy the process is."""


def make_bounds(settings: Settings, stopwatch: Callable[[], float]) -> Bounds:
    """Return the limits of a process.

    Args:
        settings: of the process.
        stopwatch: returns monotonic seconds.
    """
    # Enough for two batches of requests with one image: one that is computed, and one that fills meanwhile.
    num_threads = 2 * settings.batch_max_images
    prediction_bounds = QueueBounds(num_threads, settings.predict_max_wait_seconds, settings.predict_max_waiting_images)
    upload_bounds = QueueBounds(settings.upload_threads, settings.upload_max_wait_seconds)
    uploads = AdmissionQueue("support images to check", upload_bounds, stopwatch)
    uploads.calibrate(1 / UPLOAD_BYTES_PER_SECOND, CALIBRATION_BYTES)
    return Bounds(
        requests=RequestLimit(PlaceBounds(settings.max_requests, settings.client_share), stopwatch),
        predictions=AdmissionQueue("images to classify", prediction_bounds, stopwatch),
        uploads=uploads,
        reports=AdmissionQueue("support images to report on", QueueBounds(1, REPORT_MAX_WAIT_SECONDS), stopwatch),
        thumbnails=AdmissionQueue("thumbnails to make", QueueBounds(THUMBNAIL_THREADS, THUMBNAIL_MAX_WAIT_SECONDS), stopwatch),
        evaluations=AdmissionQueue("images to evaluate", QueueBounds(1, EVALUATION_MAX_WAIT_SECONDS), stopwatch),
        connections=ConnectionTable(connection_bounds(settings.max_connections, settings.client_share, settings.max_requests)),
        health_threads=CapacityLimiter(HEALTH_THREADS),
    )


def pace_bounds(settings: Settings) -> PaceBounds:
    """Return how slow a request body may be."""
    return PaceBounds(settings.body_pause_seconds, settings.body_bytes_per_second, settings.body_seconds)
