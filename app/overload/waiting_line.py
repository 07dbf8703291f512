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

SMOOTHING = 0.2
"""Weight of the newest request in the estimate of a piece's seconds."""
FIXED_SHARE = 3.0
"""What a request takes however many are before it, in its own pieces: alone it has no batch to share. Without this, half load
was taken for full: 4 % of the predictions were refused, although they would have been answered in time."""
LARGEST_RISE = 4.0
"""A request counts as at most so many times what was expected, so that a single slow one, as of a cold adapter, closes no
line."""


@dataclass(frozen=True)
class LineBounds:
    """What a line takes."""

    num_threads: int
    """Requests that are worked on at once."""
    max_wait_seconds: float
    """Of a request that is accepted, by estimate."""
    max_pieces: float = math.inf
    """Pieces of all accepted requests together."""


class WaitingLine:
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
        self._mean_seconds = 0.0
        self._mean_pieces = 0.0
        self.num_pieces = 0
        """Of the requests that wait or are worked on."""
        self.num_refused = 0
        """Requests since the start."""

    @property
    def wait_seconds(self) -> float:
        """How long the next request would wait, by estimate."""
        return self.num_pieces * self._piece_seconds

    @property
    def _piece_seconds(self) -> float:
        return self._mean_seconds / self._mean_pieces if self._mean_pieces else 0.0

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
        self.num_pieces += pieces
        weighed, start = self.num_pieces + FIXED_SHARE * pieces, self._stopwatch()
        try:
            answer = await to_thread.run_sync(act, limiter=self._threads)
        finally:
            self.num_pieces -= pieces
        self._learn(self._stopwatch() - start, weighed)
        return answer

    def _describe(self, pieces: float, seconds: float) -> str:
        # Pieces are a number that people know, such as images, only where they have a bound.
        counted = "" if math.isinf(self._bounds.max_pieces) else f"{pieces:g} {self.name} and "
        return f"{counted}{seconds:.3g} s of work"

    def _learn(self, seconds: float, pieces: float) -> None:
        if not self._mean_pieces:
            self._mean_seconds, self._mean_pieces = seconds, pieces
        likely = min(seconds, LARGEST_RISE * pieces * self._piece_seconds)
        self._mean_seconds += SMOOTHING * (likely - self._mean_seconds)
        self._mean_pieces += SMOOTHING * (pieces - self._mean_pieces)
