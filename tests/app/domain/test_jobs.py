from itertools import product

import pytest

from app.domain.errors import JobTransitionError
from app.domain.jobs import FINAL_STATES, HELD_STATES, TRANSITIONS, JobState, check_transition, sources_of

LEGAL = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}


@pytest.mark.parametrize(("source", "target"), sorted(LEGAL))
def test_a_legal_transition_is_let_through(source: JobState, target: JobState) -> None:
    check_transition(source, target)


@pytest.mark.parametrize(("source", "target"), sorted(set(product(JobState, JobState)) - LEGAL))
def test_every_illegal_transition_is_refused(source: JobState, target: JobState) -> None:
    with pytest.raises(JobTransitionError) as caught:
        check_transition(source, target)
    assert source.value in caught.value.expected
    assert target.value in caught.value.got


def test_nothing_follows_a_final_state() -> None:
    assert all(not TRANSITIONS[state] for state in FINAL_STATES)
    assert {state for state in JobState if state.is_final} == FINAL_STATES


def test_success_comes_only_from_verifying() -> None:
    assert sources_of(JobState.SUCCEEDED) == {JobState.VERIFYING}


def test_every_state_that_is_not_final_can_be_cancelled_and_failed() -> None:
    unfinished = set(JobState) - FINAL_STATES
    assert sources_of(JobState.CANCELLED) == sources_of(JobState.FAILED) == unfinished
    assert unfinished > HELD_STATES
