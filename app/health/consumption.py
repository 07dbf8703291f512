"""See whether jobs make progress; that a worker process is alive does not prove it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.jobs import HELD_STATES, JobState
from app.infra.job_repository import JobRepository

STALL_SECONDS = 120.0
"""How long a job may wait while no worker has a job; longer than a worker takes to start."""


@dataclass(frozen=True)
class Consumption:
    """How jobs make progress, according to their rows."""

    by_state: dict[JobState, int]
    waited_seconds: float
    """How long the oldest queued job has waited; 0 if none waits."""
    silent_seconds: float
    """Longest time that a running job has made no progress; 0 if none runs."""

    @property
    def num_held(self) -> int:
        """Jobs that a worker holds."""
        return sum(self.by_state[state] for state in HELD_STATES)

    @property
    def is_stalled(self) -> bool:
        """Whether jobs wait and no worker takes them. While workers are busy, a long wait only means that they are too few."""
        return self.waited_seconds > STALL_SECONDS and self.num_held == 0


def look_at_jobs(session: Session, now: datetime) -> Consumption:
    """Return how jobs make progress."""
    jobs = JobRepository(session)

    def seconds_since(moment: datetime | None) -> float:
        return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0

    return Consumption(
        by_state=jobs.count_by_state(),
        waited_seconds=seconds_since(jobs.unchanged_since(frozenset({JobState.QUEUED}))),
        silent_seconds=seconds_since(jobs.unchanged_since(HELD_STATES)),
    )
