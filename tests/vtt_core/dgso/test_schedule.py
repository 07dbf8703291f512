import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtt_core.dgso.schedule import Dgso


def fed(window: int, *cosines: float) -> Dgso:
    dgso = Dgso(window)
    for cosine in cosines:
        dgso.observe(cosine)
    return dgso


class TestMeanByHand:
    def test_within_the_window_the_leading_one_is_added_but_not_counted(self) -> None:
        # Queue (1, -0.5, 0.1): 0.6 over two counted entries.
        assert fed(50, -0.5, 0.1).recent_mean() == pytest.approx(0.3)

    def test_a_queue_that_just_fills_the_window_still_counts_one_less(self) -> None:
        # Queue (1, 0.2, 0.4) with a window of 3: 1.6 over 2, not over 3.
        assert fed(3, 0.2, 0.4).recent_mean() == pytest.approx(0.8)

    def test_past_the_window_only_its_last_entries_count(self) -> None:
        # Queue (1, 0.2, 0.4, 0.3) with a window of 3: the 1 has left.
        assert fed(3, 0.2, 0.4, 0.3).recent_mean() == pytest.approx(0.3)

    def test_old_entries_leave_the_window(self) -> None:
        assert fed(2, 0.9, 0.8, 0.1, 0.2).recent_mean() == pytest.approx(0.15)


class TestSwitchOff:
    def test_a_mean_of_exactly_zero_switches_off(self) -> None:
        # Queue (1, -1): zero over one counted entry.
        dgso = fed(50, -1.0)
        assert not dgso.is_absorbing
        assert dgso.stopped_at == 1

    def test_the_step_that_brings_the_mean_below_zero_is_remembered(self) -> None:
        # Sums 0.5, 0, -0.5: off at the second step, where the sum is zero.
        dgso = Dgso(window=50)
        dgso.observe(-0.5)
        assert dgso.is_absorbing
        dgso.observe(-0.5)
        assert dgso.stopped_at == 2

    def test_past_the_window_it_counts_steps_and_not_entries(self) -> None:
        dgso = fed(2, 0.9, 0.8, 0.1, -0.2)
        assert dgso.stopped_at == 4

    def test_the_latch_stays_off(self) -> None:
        dgso = fed(1, -0.1)
        with pytest.raises(AssertionError, match="once absorption is off"):
            dgso.observe(1.0)
        assert not dgso.is_absorbing
        assert dgso.stopped_at == 1

    def test_agreement_never_switches_off(self) -> None:
        assert fed(5, *[0.01] * 40).is_absorbing


@settings(deadline=None, derandomize=True, max_examples=100)
@given(window=st.integers(1, 60), cosines=st.lists(st.floats(-1, 1), min_size=1, max_size=120))
def test_the_stop_is_the_first_step_whose_released_rule_gives_zero_or_less(window: int, cosines: list[float]) -> None:
    def released_mean(steps: int) -> float:
        entries = [1.0, *cosines[:steps]]
        return sum(entries) / (len(entries) - 1) if len(entries) <= window else sum(entries[-window:]) / window

    expected = next((step for step in range(1, len(cosines) + 1) if released_mean(step) <= 0), None)
    dgso = Dgso(window)
    for cosine in cosines:
        if dgso.is_absorbing:
            dgso.observe(cosine)
    assert dgso.stopped_at == expected
    assert dgso.is_absorbing is (expected is None)


class TestOtherSwitches:
    """What the paper says, and what its ablation leaves out."""

    def test_below_zero_lets_a_mean_of_exactly_zero_pass(self) -> None:
        dgso = Dgso(50, switch_off="below-zero")
        dgso.observe(-1.0)
        assert dgso.is_absorbing
        dgso.observe(-0.1)
        assert dgso.stopped_at == 2

    def test_the_last_step_ends_it_whatever_comes(self) -> None:
        dgso = Dgso(50, switch_off="never", max_steps=3)
        for _ in range(2):
            dgso.observe(1.0)
        assert dgso.is_absorbing
        dgso.observe(1.0)
        assert (dgso.is_absorbing, dgso.stopped_at) == (False, 3)

    def test_conflict_ends_it_before_the_last_step(self) -> None:
        dgso = Dgso(1, max_steps=9)
        dgso.observe(-1.0)
        assert dgso.stopped_at == 1

    def test_never_goes_on_whatever_comes(self) -> None:
        dgso = Dgso(2, switch_off="never")
        for _ in range(5):
            dgso.observe(-1.0)
        assert dgso.is_absorbing
        assert dgso.stopped_at is None
