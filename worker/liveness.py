"""Report that this worker is alive, as long as it takes messages or works on a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from app.domain.errors import QueueUnavailableError
from app.infra.workers import LIVENESS_SECONDS, LiveWorker, WorkerRegistry

BEAT_SECONDS = LIVENESS_SECONDS / 3
_log = structlog.get_logger(__name__)


class LivenessReporter(threading.Thread):
    """Announces the worker every few seconds.

    This thread also runs when the consumer hangs, so it proves nothing by itself. Therefore the consumer's own loop calls
    `tick`, and a worker without a recent tick or a job is not announced.

    Args:
        registry: where workers announce themselves.
        describe: returns what to announce, with the job that the worker runs.
    """

    def __init__(self, registry: WorkerRegistry, describe: Callable[[], LiveWorker]) -> None:
        super().__init__(name="liveness", daemon=True)
        self._registry = registry
        self._describe = describe
        self._ticked_at = time.monotonic()
        self._is_held_up = False
        self._has_ended = threading.Event()

    def tick(self) -> None:
        """Note that the consumer's loop runs."""
        self._ticked_at = time.monotonic()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let the consumer's loop stand still in the block without counting as one that hangs."""
        self._is_held_up = True
        try:
            yield
        finally:
            self._is_held_up = False
            self.tick()

    def announce(self) -> None:
        """Announce the worker once, unless its consumer hangs."""
        worker = self._describe()
        is_busy = self._is_held_up or worker.job_id is not None
        if not is_busy and time.monotonic() - self._ticked_at > LIVENESS_SECONDS:
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
        """End the thread and withdraw the announcement."""
        self._has_ended.set()
        self.join()
        try:
            self._registry.withdraw(self._describe().holder)
        except QueueUnavailableError as error:
            _log.warning("not_withdrawn", reason=error.got)
