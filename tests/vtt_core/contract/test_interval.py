import pytest

from vtt_core.contract.interval import mean_half_width, wilson_half_width


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
    # Standard deviation 1 of (1, 2, 3): 1.96 / sqrt(3).
    assert mean_half_width([1.0, 2.0, 3.0]) == pytest.approx(1.1316, abs=1e-4)
    assert mean_half_width([0.4, 0.6] * 200) == pytest.approx(mean_half_width([0.4, 0.6] * 50) / 2, rel=0.01)


def test_an_interval_that_was_picked_among_several_is_wider() -> None:
    # Twelve means: the 0.2 % tails on either side begin at 2.8653 standard deviations.
    values = [1.0, 2.0, 3.0]
    assert mean_half_width(values, num_means=12) == pytest.approx(mean_half_width(values) * 2.8653 / 1.95996, rel=1e-4)
