"""Schedules of the training of `mini`."""

from __future__ import annotations

import pytest

from vtt_core.backbones.mini.recipe import PretrainRecipe, decay_start, learning_rate

RECIPE = PretrainRecipe(learning_rate=1.0, warmup_steps=10)


def test_the_learning_rate_warms_up_stays_and_falls_to_nothing() -> None:
    rates = [learning_rate(step, 1000, RECIPE) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9 : decay_start(1000, RECIPE) + 1]) == {1.0}
    assert all(after < before for before, after in zip(rates[650:], rates[651:], strict=False))
    assert rates[1000] == 0.0


def test_before_the_decay_the_length_of_the_run_does_not_matter() -> None:
    until = decay_start(500, RECIPE)
    assert [learning_rate(step, 500, RECIPE) for step in range(until)] == [
        learning_rate(step, 900, RECIPE) for step in range(until)
    ]
