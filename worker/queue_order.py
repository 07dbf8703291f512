"""Choose the queue from which a worker takes its next message.

A message is about one job, one chunk of a batch, one export, or one chunk of a benchmark. Where several kinds wait, the worker
takes one of each in turn: a job waits for one chunk and one export at most, however large the batch is, and a batch is never
left behind by a row of jobs. Benchmarks come after all others. Among batches the oldest message goes first, and a batch sends
its next message after each chunk, so that batches take turns too.

Source: kombu 5, `kombu.utils.scheduling`; the Redis transport asks `consume` for the order and tells `rotate` what it took.
"""

from __future__ import annotations

from collections.abc import Iterable

from kombu.utils.scheduling import round_robin_cycle

from app.domain.messages import EpisodesMessage


class TurnsBeforeBenchmarks(round_robin_cycle):
    """The order of the queues of one worker."""

    def __init__(self, it: Iterable[str] | None = None) -> None:
        super().__init__(it)  # type: ignore[no-untyped-call]
        self._used: list[str] = []
        """Queues that a message came from, the latest at the end."""

    def consume(self, n: int) -> list[str]:
        """Return the queues, the first one to read first."""
        return sorted(self.items, key=self._rank)[:n]

    def rotate(self, last_used: str) -> str:
        """Remember from which queue the last message came, so that the others are next."""
        self._used = [name for name in self._used if name != last_used] + [last_used]
        return last_used

    def _rank(self, name: str) -> tuple[bool, int, str]:
        return name == EpisodesMessage.queue_name, self._used.index(name) + 1 if name in self._used else 0, name
