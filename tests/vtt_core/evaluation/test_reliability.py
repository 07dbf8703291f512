import pytest

from vtt_core.evaluation.reliability import NUM_BINS, calibration_error, reliability


def test_bins_hold_each_image_once() -> None:
    bins = reliability([0.05, 0.5, 0.55, 1.0], [True, False, True, True])
    assert [one.num_images for one in bins] == [1, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert (bins[5].stated, bins[5].accuracy) == (pytest.approx(0.525), 0.5)
    assert (bins[1].stated, bins[1].accuracy) == (None, None)
    assert (bins[0].low, bins[-1].high, len(bins)) == (0.0, 1.0, NUM_BINS)


def test_the_error_is_the_mean_gap() -> None:
    assert calibration_error(reliability([0.9, 0.9, 0.9, 0.9], [True, True, True, False])) == pytest.approx(0.15)
    assert calibration_error(reliability([0.95, 0.25], [True, False])) == pytest.approx((0.05 + 0.25) / 2)
