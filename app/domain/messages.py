"""Define the messages in the queue: they are hints, never the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FinetuneMessage:
    """Hint that a job may be waiting; the job row decides."""

    task_name: ClassVar[str] = "finetune.run"
    queue_name: ClassVar[str] = "finetune"
    job_id: str


@dataclass(frozen=True)
class EpisodesMessage:
    """Hint that a chunk of a benchmark's episodes may be waiting; the files in the store decide."""

    task_name: ClassVar[str] = "episodes.run"
    queue_name: ClassVar[str] = "measurements"
    """Workers read queues in alphabetical order, so jobs of users go first."""
    benchmark_id: str
    chunk: int

    @property
    def work_id(self) -> str:
        """What a worker announces while it computes the chunk."""
        return f"{self.benchmark_id}/{self.chunk}"


Message = FinetuneMessage | EpisodesMessage
