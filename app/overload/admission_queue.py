"""Let a bounded number of threads do one kind of work, and refuse more of it than can be done in time.

What is accepted waits for what was accepted before it, at most about `max_wait_seconds`: the last requests tell what a unit of
work takes. The rest is refused at once, if possible before its form is read, and told when to come again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from app.domain.errors import OverloadedError

Answer = TypeVar("Answer")

MEMORY_SECONDS = 10.0
"""Seconds of work after which a measurement counts a third as much as the newest one."""
LARGEST_RISE = 4.0
"""A request counts as at most so many times the seconds that were expected, so that a single slow one, as of a cold adapter,
closes no queue."""


@dataclass(frozen=True)
class QueueBounds:
    """What a queue takes."""

    num_threads: int
    """Requests that are worked on at once."""
    max_wait_seconds: float
    """Of a request that is accepted, by estimate."""
    max_units: float = math.inf
    """Units of all accepted requests together."""


class AdmissionQueue:
    """The accepted requests of one kind; used from the event loop alone.

    The work of a request is counted in units: images, or bytes. An empty queue takes any request, however many units it has.

    Args:
        name: what waits, in words.
        bounds: what the queue takes.
        stopwatch: gives monotonic seconds.
    """

    def __init__(self, name: str, bounds: QueueBounds, stopwatch: Callable[[], float]) -> None:
        self.name = name
        self._bounds = bounds
        self._stopwatch = stopwatch
        self._threads = CapacityLimiter(bounds.num_threads)
        self._work = _Work(0.0, 0.0)
        self._last_end = 0.0
        """When a request last ended, or the queue was last empty."""
        self.num_units = 0
        """Units of the requests that wait or are worked on."""
        self.num_refused = 0
        """Requests since the start."""

    @property
    def wait_seconds(self) -> float:
        """How long the next request would wait, by estimate."""
        return self.num_units * self._work.unit_seconds

    def calibrate(self, unit_seconds: float, num_units: float) -> None:
        """Start the estimate from a measurement or guess made before the first request.

        The first requests of a process are slow; without this, one of them closed the queue to 32 clients.

        Args:
            unit_seconds: what a unit is expected to take.
            num_units: how many finished units this counts as.
        """
        self._work = _Work(unit_seconds * num_units, num_units)

    def check(self) -> None:
        """Refuse if the queue is full.

        Raises:
            OverloadedError: it is.
        """
        is_too_long = self.num_units >= self._bounds.max_units or self.wait_seconds > self._bounds.max_wait_seconds
        if self.num_units and is_too_long:
            self.num_refused += 1
            raise OverloadedError(
                expected=f"at most {self._describe(self._bounds.max_units, self._bounds.max_wait_seconds)} before yours",
                got=self._describe(self.num_units, self.wait_seconds),
                retry_after_seconds=self.wait_seconds,
            )

    async def run(self, num_units: int, act: Callable[[], Answer]) -> Answer:
        """Wait for a thread and do a request's work in it.

        Args:
            num_units: of the request.
            act: does the work.

        Raises:
            OverloadedError: the queue is full.
        """
        self.check()
        units = max(1, num_units)
        if not self.num_units:
            self._last_end = self._stopwatch()
        self.num_units += units
        try:
            answer = await to_thread.run_sync(act, limiter=self._threads)
        except BaseException:
            self._last_end = self._stopwatch()
            raise
        finally:
            self.num_units -= units
        self._learn(units)
        return answer

    def _describe(self, units: float, seconds: float) -> str:
        # Where units have a bound, they are something that people count, such as images.
        counted = "" if math.isinf(self._bounds.max_units) else f"{units:g} {self.name} and "
        return f"{counted}{seconds:.3g} s of work"

    def _learn(self, units: float) -> None:
        """Learn how many units finish in a second, from what has finished and the time since the finish before it."""
        now = self._stopwatch()
        seconds, self._last_end = now - self._last_end, now
        if self._work.units:
            seconds = min(seconds, LARGEST_RISE * units * self._work.unit_seconds)
        self._work = self._work.plus(seconds, units)


@dataclass(frozen=True)
class _Work:
    """What has been finished lately, and the time that took; never changed in place, since another thread may calibrate."""

    seconds: float
    units: float

    @property
    def unit_seconds(self) -> float:
        return self.seconds / self.units if self.units else 0.0

    def plus(self, seconds: float, units: float) -> _Work:
        kept = math.exp(-seconds / MEMORY_SECONDS)
        return _Work(kept * self.seconds + seconds, kept * self.units + units)
