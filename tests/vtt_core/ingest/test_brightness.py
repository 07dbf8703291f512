"""Black and white follow from the depth that an image really uses."""

from __future__ import annotations

import pytest

from vtt_core.ingest.brightness import Extremes, Numbers, choose_range, missing_sentinels, white_of_depth

U, S, F = Numbers.UNSIGNED, Numbers.SIGNED, Numbers.FLOAT


@pytest.mark.parametrize(
    ("numbers", "bits", "low", "high", "expected"),
    [
        (U, 8, 0, 40, (0, 255)),
        (U, 4, 0, 3, (0, 15)),
        (U, 12, 0, 4000, (0, 4095)),
        (U, 12, 0, 300, (0, 1023)),
        (U, 16, 5, 200, (0, 255)),
        (U, 16, 5, 4095, (0, 4095)),
        (U, 16, 5, 4096, (0, 16383)),
        (U, 16, 0, 65535, (0, 65535)),
        (U, 32, 0, 65535, (0, 65535)),
        (U, 32, 1000, 3_000_000, (1000, 3_000_000)),
        (U, 32, 0, 2**32 - 5, (0, 2**32 - 1)),
        (S, 8, -20, 30, (-128, 127)),
        (S, 16, -32000, 30000, (-32768, 32767)),
        (S, 16, -1000, 3000, (-1000, 3000)),
        (S, 16, 0, 4000, (0, 4095)),
        (S, 16, 0, 32000, (0, 32767)),
        (S, 32, -(2**31), 2**31 - 1, (-(2**31), 2**31 - 1)),
        (F, 32, 0.0, 0.3, (0, 1)),
        (F, 32, -0.02, 1.03, (0, 1)),
        (F, 32, 0.0, 200.0, (0, 255)),
        (F, 32, 0.0, 4000.0, (0, 4095)),
        (F, 32, 0.0, 9.0, (0, 9)),
        (F, 32, -5.0, 1e6, (-5, 1e6)),
        (F, 64, -1.0, 1.0, (-1, 1)),
    ],
)
def test_black_and_white(numbers: Numbers, bits: int, low: float, high: float, expected: tuple[float, float]) -> None:
    assert choose_range(numbers, bits, Extremes(low, high)) == expected


def test_the_white_of_a_depth_holds_the_brightest_value() -> None:
    assert [white_of_depth(high) for high in (0, 255, 256, 1023, 1024, 16384, 65535)] == [
        255,
        255,
        1023,
        1023,
        4095,
        65535,
        65535,
    ]


def test_a_sentinel_is_missing_only_where_it_is_far_below_the_rest() -> None:
    assert missing_sentinels({-9999.0}, Extremes(0, 1)) == {-9999.0}
    assert missing_sentinels({-9999.0, -32768.0}, Extremes(-12000, 12000)) == set()
    assert missing_sentinels({-32768.0}, Extremes(-32767, 32767)) == set()
