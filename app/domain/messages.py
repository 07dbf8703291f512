"""Name what travels through the queue: hints, never the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FinetuneMessage:
    """Hint that a job may be waiting; the job row decides."""

    task_name: ClassVar[str] = "finetune.run"
    job_id: str
