"""Choose the queue from which a worker takes its next message.

A message is about one job, or one chunk of a batch, or one chunk of a benchmark. Where jobs and batches both wait, the worker
takes one of each in turn: a job waits for one chunk at most, however large the batch is, and a batch is never left behind by a
row of jobs. Benchmarks come after both. Among batches the oldest message goes first, and a batch sends its next message after
each chunk, so that batches take turns too.

Source: kombu 5, `kombu.utils.scheduling`; the Redis transport asks `consume` for the order and tells `rotate` what it took.
"""

from __future__ import annotations

from kombu.utils.scheduling import round_robin_cycle

from app.domain.messages import EpisodesMessage


class TurnsBeforeBenchmarks(round_robin_cycle):
    """The order of the queues of one worker."""

    _last = ""

    def consume(self, n: int) -> list[str]:
        """Return the queues, the first one to read first."""
        return sorted(self.items, key=self._rank)[:n]

    def rotate(self, last_used: str) -> str:
        """Remember from which queue the last message came, so that the other one is next."""
        self._last = last_used
        return last_used

    def _rank(self, name: str) -> tuple[bool, bool, str]:
        return name == EpisodesMessage.queue_name, name == self._last, name
