"""See whether jobs are taken: signs of life tell of processes, this tells of work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.jobs import HELD_STATES, JobState
from app.infra.job_repository import JobRepository

STALL_SECONDS = 120.0
"""How long a job may wait while no worker has any; longer than a worker takes to start."""


@dataclass(frozen=True)
class Consumption:
    """How jobs come forward, by their rows."""

    by_state: dict[JobState, int]
    waited_seconds: float
    """How long the job that waits longest has waited; 0 where none waits."""
    silent_seconds: float
    """Longest time without news of a job in hand; 0 where none is."""

    @property
    def num_held(self) -> int:
        """Jobs in hand."""
        return sum(self.by_state[state] for state in HELD_STATES)

    @property
    def is_stalled(self) -> bool:
        """Whether jobs wait and nobody takes them. Where workers are busy, a long wait only means too few of them."""
        return self.waited_seconds > STALL_SECONDS and self.num_held == 0


def look_at_jobs(session: Session, now: datetime) -> Consumption:
    """Return how jobs come forward."""
    jobs = JobRepository(session)

    def seconds_since(moment: datetime | None) -> float:
        return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0

    return Consumption(
        by_state=jobs.count_by_state(),
        waited_seconds=seconds_since(jobs.unchanged_since(frozenset({JobState.QUEUED}))),
        silent_seconds=seconds_since(jobs.unchanged_since(HELD_STATES)),
    )
