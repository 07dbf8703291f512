"""Let a bounded number of threads do one kind of work, and refuse more of it than can be done in time.

What is accepted waits for what was accepted before it, at most about `max_wait_seconds`: the last requests tell what a piece of
work takes. The rest is refused at once, before its form is read where the line is full by then, and told when to come again.
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
closes no line."""


@dataclass(frozen=True)
class LineBounds:
    """What a line takes."""

    num_threads: int
    """Requests that are worked on at once."""
    max_wait_seconds: float
    """Of a request that is accepted, by estimate."""
    max_pieces: float = math.inf
    """Pieces of all accepted requests together."""


class AdmissionQueue:
    """The accepted requests of one kind; used from the event loop alone.

    A request is some pieces of work: images, or bytes. An empty line takes any request, however many pieces it has.

    Args:
        name: what waits, in words.
        bounds: what the line takes.
        stopwatch: gives monotonic seconds.
    """

    def __init__(self, name: str, bounds: LineBounds, stopwatch: Callable[[], float]) -> None:
        self.name = name
        self._bounds = bounds
        self._stopwatch = stopwatch
        self._threads = CapacityLimiter(bounds.num_threads)
        self._work = _Work(0.0, 0.0)
        self._last_end = 0.0
        """When a request last ended, or the line was last empty."""
        self.num_pieces = 0
        """Of the requests that wait or are worked on."""
        self.num_refused = 0
        """Requests since the start."""

    @property
    def wait_seconds(self) -> float:
        """How long the next request would wait, by estimate."""
        return self.num_pieces * self._work.piece_seconds

    def calibrate(self, piece_seconds: float, num_pieces: float) -> None:
        """Start the estimate from a measurement or guess made before the first request.

        The first requests of a process are slower than the later ones: without this one of them closed the line to 32 clients.

        Args:
            piece_seconds: what a piece is expected to take.
            num_pieces: how many finished pieces this counts as.
        """
        self._work = _Work(piece_seconds * num_pieces, num_pieces)

    def check(self) -> None:
        """Refuse if the line is full.

        Raises:
            OverloadedError: it is.
        """
        is_too_long = self.num_pieces >= self._bounds.max_pieces or self.wait_seconds > self._bounds.max_wait_seconds
        if self.num_pieces and is_too_long:
            self.num_refused += 1
            raise OverloadedError(
                expected=f"at most {self._describe(self._bounds.max_pieces, self._bounds.max_wait_seconds)} before yours",
                got=self._describe(self.num_pieces, self.wait_seconds),
                retry_after_seconds=self.wait_seconds,
            )

    async def run(self, num_pieces: int, act: Callable[[], Answer]) -> Answer:
        """Wait for a thread and do a request's work in it.

        Args:
            num_pieces: of the request.
            act: does the work.

        Raises:
            OverloadedError: the line is full.
        """
        self.check()
        pieces = max(1, num_pieces)
        if not self.num_pieces:
            self._last_end = self._stopwatch()
        self.num_pieces += pieces
        try:
            answer = await to_thread.run_sync(act, limiter=self._threads)
        except BaseException:
            self._last_end = self._stopwatch()
            raise
        finally:
            self.num_pieces -= pieces
        self._learn(pieces)
        return answer

    def _describe(self, pieces: float, seconds: float) -> str:
        # Pieces are a number that people know, such as images, only where they have a bound.
        counted = "" if math.isinf(self._bounds.max_pieces) else f"{pieces:g} {self.name} and "
        return f"{counted}{seconds:.3g} s of work"

    def _learn(self, pieces: float) -> None:
        """Count finished pieces and the time since others finished: how many leave the line in a second, however many wait."""
        now = self._stopwatch()
        seconds, self._last_end = now - self._last_end, now
        if self._work.pieces:
            seconds = min(seconds, LARGEST_RISE * pieces * self._work.piece_seconds)
        self._work = self._work.plus(seconds, pieces)


@dataclass(frozen=True)
class _Work:
    """What has been finished lately, and the time that took; never changed in place, since another thread may calibrate."""

    seconds: float
    pieces: float

    @property
    def piece_seconds(self) -> float:
        return self.seconds / self.pieces if self.pieces else 0.0

    def plus(self, seconds: float, pieces: float) -> _Work:
        kept = math.exp(-seconds / MEMORY_SECONDS)
        return _Work(kept * self.seconds + seconds, kept * self.pieces + pieces)
