import sys

import pytest
import torch

from vtt_core.bench.speed.interleaved import Spread, peak_bytes, ratio_of_rounds, time_interleaved


class TestTimeInTurn:
    def test_every_round_calls_each_alternative_once_after_a_call_that_is_not_timed(self) -> None:
        calls: list[str] = []
        clock = iter(range(100))
        times = time_interleaved(
            {"one": lambda: calls.append("one"), "two": lambda: calls.append("two")}, 3, lambda: float(next(clock))
        )
        assert calls == ["one", "two"] * 4
        assert times == {"one": [1.0, 1.0, 1.0], "two": [1.0, 1.0, 1.0]}


class TestSpread:
    def test_it_is_the_median_and_the_quartiles(self) -> None:
        assert Spread.of([5.0, 1.0, 2.0, 3.0, 4.0]) == Spread(3.0, 2.0, 4.0)

    def test_one_value_has_none(self) -> None:
        assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0)

    def test_ratios_are_taken_round_by_round(self) -> None:
        assert ratio_of_rounds([2.0, 6.0, 8.0], [1.0, 2.0, 8.0]) == Spread(2.0, 1.5, 2.5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_peak_is_that_of_the_call() -> None:
    def hold() -> None:
        torch.ones(25_000_000)

    peak, nothing = peak_bytes(hold), peak_bytes(lambda: None)
    assert peak is not None
    assert nothing is not None
    assert 95e6 < peak < 130e6
    assert nothing < 20e6
