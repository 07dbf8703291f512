"""Say that this worker is alive, as long as it takes messages or works on a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from app.domain.errors import QueueUnavailableError
from app.infra.workers import LIVENESS_SECONDS, LiveWorker, WorkerRegistry

BEAT_SECONDS = LIVENESS_SECONDS / 3
_log = structlog.get_logger(__name__)


class LivenessReporter(threading.Thread):
    """Announces the worker again and again.

    A thread goes on when the consumer hangs, so it alone proves nothing: the consumer's own loop calls
    `tick`, and without a recent tick, or a job, the worker no longer counts as alive.

    Args:
        registry: where to announce.
        describe: gives what to announce, with the job in hand.
    """

    def __init__(self, registry: WorkerRegistry, describe: Callable[[], LiveWorker]) -> None:
        super().__init__(name="presence", daemon=True)
        self._registry = registry
        self._describe = describe
        self._ticked_at = time.monotonic()
        self._has_ended = threading.Event()

    def tick(self) -> None:
        """Note that the consumer's loop has come round."""
        self._ticked_at = time.monotonic()

    def announce(self) -> None:
        """Announce once, if the worker can be trusted to take the next message."""
        worker = self._describe()
        if worker.job_id is None and time.monotonic() - self._ticked_at > LIVENESS_SECONDS:
            return
        try:
            self._registry.announce(worker)
        except QueueUnavailableError as error:
            _log.warning("not_announced", reason=error.got)

    def run(self) -> None:
        """Announce until stopped."""
        while not self._has_ended.is_set():
            self.announce()
            self._has_ended.wait(BEAT_SECONDS)

    def stop(self) -> None:
        """End the thread and take the announcement back."""
        self._has_ended.set()
        self.join()
        try:
            self._registry.withdraw(self._describe().holder)
        except QueueUnavailableError as error:
            _log.warning("not_withdrawn", reason=error.got)
