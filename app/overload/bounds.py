"""Make the bounds on what a process accepts from its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anyio import CapacityLimiter

from app.infra.settings import Settings
from app.overload.request_limit import RequestLimit
from app.overload.waiting_line import LineBounds, WaitingLine

HEALTH_THREADS = 4
UPLOAD_BYTES_PER_SECOND = 8e6
"""Guess of how fast uploads are checked, until some have been: JPEG files of cameras on one slow core."""
CALIBRATION_BYTES = 32e6
"""What this guess counts for beside real uploads."""


@dataclass(frozen=True)
class Bounds:
    """What one process accepts; the same object for all its requests."""

    requests: RequestLimit
    predictions: WaitingLine
    uploads: WaitingLine
    health_threads: CapacityLimiter
    """Threads that look at the parts, so that health answers however much else waits."""


def make_bounds(settings: Settings, stopwatch: Callable[[], float]) -> Bounds:
    """Return the bounds of a process.

    Args:
        settings: of the process.
        stopwatch: gives monotonic seconds.
    """
    # One batch in the tower, and one that gathers meanwhile, of requests with one image each.
    num_threads = 2 * settings.batch_max_images
    predictions = LineBounds(num_threads, settings.predict_max_wait_seconds, settings.predict_max_waiting_images)
    uploads = LineBounds(settings.upload_threads, settings.upload_max_wait_seconds)
    uploads_line = WaitingLine("support images to check", uploads, stopwatch)
    uploads_line.calibrate(1 / UPLOAD_BYTES_PER_SECOND, CALIBRATION_BYTES)
    return Bounds(
        requests=RequestLimit(settings.max_requests, stopwatch),
        predictions=WaitingLine("images to classify", predictions, stopwatch),
        uploads=uploads_line,
        health_threads=CapacityLimiter(HEALTH_THREADS),
    )
