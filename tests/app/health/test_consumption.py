"""Jobs that wait are told apart from jobs that nobody takes."""

import pytest

from app.domain.jobs import JobState
from app.health.consumption import STALL_SECONDS, Consumption

NONE = dict.fromkeys(JobState, 0)


@pytest.mark.parametrize(
    ("held", "waited_seconds", "is_stalled"),
    [
        ({}, 0.0, False),
        ({}, STALL_SECONDS + 1, True),
        ({}, STALL_SECONDS - 1, False),
        ({JobState.RUNNING: 1}, STALL_SECONDS * 100, False),
        ({JobState.VERIFYING: 1}, STALL_SECONDS * 100, False),
    ],
)
def test_a_queue_stalls_only_if_no_worker_has_a_job(held: dict[JobState, int], waited_seconds: float, is_stalled: bool) -> None:
    assert Consumption({**NONE, **held}, waited_seconds, 0.0).is_stalled == is_stalled
