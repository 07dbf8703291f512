"""Schedules of the training of `mini`."""

from __future__ import annotations

import pytest

from vtt_core.bench.pretraining.recipe import PretrainRecipe, decay_start, learning_rate_factor, vision_depth

RECIPE = PretrainRecipe(warmup_steps=10)


def test_the_learning_rate_warms_up_stays_and_falls_to_nothing() -> None:
    rates = [learning_rate_factor(step, 1000, RECIPE) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9 : decay_start(1000, RECIPE) + 1]) == {1.0}
    assert all(after < before for before, after in zip(rates[650:], rates[651:], strict=False))
    assert rates[1000] == 0.0


def test_before_the_decay_the_length_of_the_run_does_not_matter() -> None:
    until = decay_start(500, RECIPE)
    assert [learning_rate_factor(step, 500, RECIPE) for step in range(until)] == [
        learning_rate_factor(step, 900, RECIPE) for step in range(until)
    ]


def test_the_tower_grows_at_its_steps() -> None:
    recipe = PretrainRecipe(growth=((0, 3), (10, 6), (25, 12)))
    assert [vision_depth(step, recipe) for step in (0, 9, 10, 24, 25, 1000)] == [3, 3, 6, 6, 12, 12]
