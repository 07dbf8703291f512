"""Name the states of a job and the transitions between them.

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
"""Claims of one job before it fails as poisonous."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

HELD_STATES = frozenset({JobState.RUNNING, JobState.VERIFYING})
"""States in which a worker holds the job by a lease."""

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.VERIFYING, JobState.CANCELLED, JobState.FAILED}),
    JobState.VERIFYING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def sources_of(target: JobState) -> frozenset[JobState]:
    """Return the states that may go to the target."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


def check_transition(current: JobState, target: JobState) -> None:
    """Refuse a transition that the drawing above does not have.

    Raises:
        JobTransitionError: the target cannot follow the current state.
    """
    if target not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current])) or "none: the job has ended"
        raise JobTransitionError(
            expected=f"one of the states after {current.value!r} ({allowed})",
            got=repr(target.value),
            remedy="Ask for the job again and look at its state",
        )
