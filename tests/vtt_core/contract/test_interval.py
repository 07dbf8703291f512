import pytest

from vtt_core.contract.interval import wilson_half_width


def test_the_interval_matches_a_published_example() -> None:
    # 81 of 263: Wilson 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I).
    assert 2 * wilson_half_width(81, 263) == pytest.approx(0.3662 - 0.2553, abs=1e-4)


def test_a_perfect_score_on_few_images_is_not_certain() -> None:
    assert wilson_half_width(15, 15) == pytest.approx(0.1019, abs=1e-3)


def test_both_ends_are_equally_uncertain() -> None:
    assert wilson_half_width(0, 20) == pytest.approx(wilson_half_width(20, 20))


def test_more_images_narrow_the_interval() -> None:
    assert wilson_half_width(500, 1000) < wilson_half_width(50, 100)
