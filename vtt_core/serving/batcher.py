"""Batch the items of concurrent callers, without a long wait for anyone.

A batch starts as soon as the one before it ends: under load it holds what has arrived meanwhile, without load one item. A
limit keeps latency low: how long a batch may take, estimated from the last ones. Whoever wants larger batches can let the first
item wait for others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SMOOTHING = 0.2
"""Weight of the newest batch in the estimate of an item's seconds."""


@dataclass(frozen=True)
class Batching:
    """Bounds of a batch."""

    max_items: int = 32
    wait_seconds: float = 0.0
    """How long the first item waits for others, unless there are `max_items` sooner. On two cores 2 ms cost a tenth of the
    answers that HTTP gives in a second."""
    max_seconds: float = 0.5
    """How long a batch may take, by estimate; one item is always taken."""


class Batcher(Generic[Item, Result]):
    """Runs batches in a thread of its own, in the order of arrival."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        batching: Batching,
        stopwatch: Callable[[], float],
        observe: Callable[[int, float], None] = lambda num_items, seconds: None,
    ) -> None:
        """Start the thread.

        Args:
            run: gives a result for each item; an error is raised for all items of the batch.
            batching: bounds.
            stopwatch: gives monotonic seconds.
            observe: is told the size and seconds of every batch.
        """
        self._run = run
        self._batching = batching
        self._stopwatch = stopwatch
        self._observe = observe
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()
        self._changed = threading.Condition()
        self._has_ended = False
        self._item_seconds = 0.0
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def submit(self, items: Sequence[Item]) -> list[Future[Result]]:
        """Queue some items and return where their results will be."""
        queued: list[tuple[Item, Future[Result]]] = [(item, Future()) for item in items]
        with self._changed:
            if self._has_ended:
                raise RuntimeError("the batcher has ended")
            self._waiting.extend(queued)
            self._changed.notify()
        return [future for _, future in queued]

    def close(self) -> None:
        """Finish what is queued, and end the thread."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            items, futures = zip(*batch, strict=True)
            start = self._stopwatch()
            try:
                results = self._run(items)
            except Exception as error:  # the callers raise it, each in its own thread
                for future in futures:
                    future.set_exception(error)
                continue
            seconds = self._stopwatch() - start
            self._learn(len(items), seconds)
            for future, result in zip(futures, results, strict=True):
                future.set_result(result)
            self._observe(len(items), seconds)

    def _next_batch(self) -> list[tuple[Item, Future[Result]]]:
        """Return the next items, none once the batcher has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._has_ended)
            limit = self._limit()
            self._changed.wait_for(lambda: len(self._waiting) >= limit or self._has_ended, timeout=self._batching.wait_seconds)
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _limit(self) -> int:
        if self._item_seconds * self._batching.max_items <= self._batching.max_seconds:
            return self._batching.max_items
        return max(1, int(self._batching.max_seconds / self._item_seconds))

    def _learn(self, num_items: int, seconds: float) -> None:
        newest = seconds / num_items
        known = self._item_seconds or newest
        self._item_seconds = known + SMOOTHING * (newest - known)
