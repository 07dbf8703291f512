import random
from statistics import mean

import pytest
from scipy import stats

from vtt_core.contract.interval import mcnemar_p_value, mean_half_width, paired_interval, student_quantile, wilson_half_width


def test_the_interval_matches_a_published_example() -> None:
    # 81 of 263: Wilson 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I).
    assert 2 * wilson_half_width(81, 263) == pytest.approx(0.3662 - 0.2553, abs=1e-4)


def test_a_perfect_score_on_few_images_is_not_certain() -> None:
    assert wilson_half_width(15, 15) == pytest.approx(0.1019, abs=1e-3)


def test_both_ends_are_equally_uncertain() -> None:
    assert wilson_half_width(0, 20) == pytest.approx(wilson_half_width(20, 20))


def test_more_images_narrow_the_interval() -> None:
    assert wilson_half_width(500, 1000) < wilson_half_width(50, 100)


def test_the_interval_of_a_mean_narrows_with_the_root_of_the_number() -> None:
    # Standard deviation 1 of (1, 2, 3), and 4.3027 of two degrees of freedom (Student's table): 4.3027 / sqrt(3).
    assert mean_half_width([1.0, 2.0, 3.0]) == pytest.approx(2.4841, abs=1e-4)
    assert mean_half_width([0.4, 0.6] * 200) == pytest.approx(mean_half_width([0.4, 0.6] * 50) / 2, rel=0.02)


def test_an_interval_that_was_picked_among_several_is_wider() -> None:
    # Twelve means: 0.2 % tails on either side.
    values = [1.0, 2.0, 3.0]
    wider = stats.t.ppf(1 - 0.025 / 12, 2) / stats.t.ppf(0.975, 2)
    assert mean_half_width(values, num_means=12) == pytest.approx(mean_half_width(values) * wider)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 6, 24, 99, 599, 5000])
@pytest.mark.parametrize("tail", [0.025, 0.025 / 12, 1e-4])
def test_the_quantile_is_scipys(degrees: int, tail: float) -> None:
    assert student_quantile(degrees, tail) == pytest.approx(stats.t.ppf(1 - tail, degrees), rel=1e-8)


def test_the_interval_covers_the_mean_of_few_values_as_often_as_it_says() -> None:
    rng = random.Random(1)
    drawn = [[rng.gauss(0, 1) for _ in range(7)] for _ in range(4000)]
    covered = sum(abs(mean(values)) < mean_half_width(values) for values in drawn) / 4000
    assert covered == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("num_pairs", "shares"), [(10, (0.1, 0.1)), (20, (0.2, 0.05)), (40, (0.02, 0.02)), (200, (0.1, 0.06))])
def test_the_interval_of_a_paired_difference_covers_it_as_often_as_it_says(num_pairs: int, shares: tuple[float, float]) -> None:
    only_first, only_second = shares
    covered = 0.0
    for first in range(num_pairs + 1):
        for second in range(num_pairs + 1 - first):
            low, high = paired_interval(first, second, num_pairs)
            if low <= only_first - only_second <= high:
                chances = (only_first, only_second, 1 - only_first - only_second)
                covered += stats.multinomial.pmf((first, second, num_pairs - first - second), num_pairs, chances)
    assert 0.94 <= covered <= 1


def test_no_number_of_pairs_makes_a_difference_certain() -> None:
    low, high = paired_interval(0, 0, 5)
    assert low == -high < -0.2
    assert paired_interval(50, 0, 50)[1] == 1.0


def test_mcnemars_test_is_the_binomial_one() -> None:
    for first, second in ((0, 0), (3, 1), (5, 5), (12, 2), (400, 350)):
        expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
        assert mcnemar_p_value(first, second) == pytest.approx(expected)
