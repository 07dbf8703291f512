"""Define the messages in the queue: they are hints, never the truth.

Each kind has a queue of its own. Workers take turns between jobs, batches and exports, and read benchmarks after them
(`worker/queue_order.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FinetuneMessage:
    """Hint that a job may be waiting; the job row decides."""

    task_name: ClassVar[str] = "finetune.run"
    queue_name: ClassVar[str] = "finetune"
    job_id: str

    @property
    def work_id(self) -> str:
        """What the message is about."""
        return self.job_id


@dataclass(frozen=True)
class BatchMessage:
    """Hint that a chunk of a batch may be waiting; the batch's row decides."""

    task_name: ClassVar[str] = "batches.run"
    queue_name: ClassVar[str] = "batches"
    batch_id: str

    @property
    def work_id(self) -> str:
        """What the message is about."""
        return self.batch_id


@dataclass(frozen=True)
class ExportMessage:
    """Hint that an export may be waiting; its row decides."""

    task_name: ClassVar[str] = "exports.run"
    queue_name: ClassVar[str] = "exports"
    export_id: str

    @property
    def work_id(self) -> str:
        """What the message is about."""
        return self.export_id


@dataclass(frozen=True)
class EpisodesMessage:
    """Hint that a chunk of a benchmark's episodes may be waiting; the files in the store decide."""

    task_name: ClassVar[str] = "episodes.run"
    queue_name: ClassVar[str] = "measurements"
    benchmark_id: str
    chunk: int

    @property
    def work_id(self) -> str:
        """What a worker announces while it computes the chunk."""
        return f"{self.benchmark_id}/{self.chunk}"


Message = FinetuneMessage | BatchMessage | ExportMessage | EpisodesMessage
