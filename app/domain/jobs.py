"""Define the states of a job and the transitions between them.

queued ──claim──> running ──> verifying ──> succeeded
  │                 │  ^          │
  │                 │  └─reclaim──┤ (lease expired, attempts left)
  ├──> cancelled <──┴─────────────┤
  └──> failed    <────────────────┘
"""

from __future__ import annotations

from enum import StrEnum

from app.domain.errors import JobTransitionError

MAX_ATTEMPTS = 3
"""Attempts after which a job fails that has crashed or lost its worker every time."""


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

UNFINISHED_STATES = frozenset(JobState) - FINAL_STATES
HELD_STATES = frozenset({JobState.RUNNING, JobState.VERIFYING})
"""States in which a worker holds a lease on the job."""

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.VERIFYING, JobState.CANCELLED, JobState.FAILED}),
    JobState.VERIFYING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def sources_of(target: JobState) -> frozenset[JobState]:
    """Return the states from which a job can go to the target."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


def check_transition(current: JobState, target: JobState) -> None:
    """Refuse a transition that is not in the drawing above.

    Raises:
        JobTransitionError: the target cannot follow the current state.
    """
    if target not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current])) or "none: the job has ended"
        raise JobTransitionError(
            expected=f"one of the states after {current.value!r} ({allowed})",
            got=repr(target.value),
            remedy="Read the job again and check its state",
        )
