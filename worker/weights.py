"""Know which backbones this worker has in its cache, and which ones it failed to download lately."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from vtt_core.backbones.weight_cache import is_cached, is_offline
from vtt_core.contract.backbones import catalogue

LOOK_SECONDS = 60.0
"""Pause between two looks into the cache."""
FAILURE_SECONDS = 600.0
"""How long a failed download counts. After that the next job tries again."""


class WeightReport:
    """What a worker reports about weights; used from several threads.

    Args:
        stopwatch: returns monotonic seconds.
    """

    def __init__(self, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._stopwatch = stopwatch
        self._lock = Lock()
        self._cached: tuple[str, ...] = ()
        self._looked_at: float | None = None
        self._failed_at: dict[str, float] = {}
        self.is_offline = is_offline()
        """Whether this worker never downloads anything."""

    def cached(self) -> tuple[str, ...]:
        """Return the ids of the published backbones whose weights are in this machine's cache."""
        with self._lock:
            now = self._stopwatch()
            if self._looked_at is None or now - self._looked_at > LOOK_SECONDS:
                self._cached = tuple(entry.backbone_id for entry in catalogue() if is_cached(entry))
                self._looked_at = now
            return self._cached

    def failed(self) -> tuple[str, ...]:
        """Return the ids of the backbones whose weights could not be downloaded lately."""
        with self._lock:
            now = self._stopwatch()
            self._failed_at = {name: at for name, at in self._failed_at.items() if now - at < FAILURE_SECONDS}
            return tuple(self._failed_at)

    def note(self, backbone_id: str, *, is_loaded: bool) -> None:
        """Remember that a backbone was loaded, or that its weights could not be downloaded."""
        with self._lock:
            self._looked_at = None
            if is_loaded:
                self._failed_at.pop(backbone_id, None)
            else:
                self._failed_at[backbone_id] = self._stopwatch()
