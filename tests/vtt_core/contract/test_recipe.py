import json
from dataclasses import FrozenInstanceError, fields
from math import inf, nan
from typing import Any

import pytest

from vtt_core.contract.errors import RecipeError
from vtt_core.contract.recipe import _RANGES, _WHOLE_NUMBERS, METHODS, FinetuneRecipe


def test_the_defaults_are_the_released_recipe() -> None:
    recipe = FinetuneRecipe()
    assert (recipe.iterations, recipe.batch_size, recipe.rank, recipe.alpha, recipe.lora_dropout) == (250, 25, 16, 8, 0.25)
    assert (recipe.lora_learning_rate, recipe.fusion_learning_rate, recipe.weight_decay) == (2e-4, 5e-4, 1e-2)
    assert (recipe.absorption_weight, recipe.conflict_window, recipe.logit_scale) == (7, 50, 100)
    assert (recipe.schedule_stretch, recipe.min_learning_rate, recipe.num_views) == (8, 1e-6, 5)
    assert recipe.scaling == 2.0
    assert recipe.uses_absorption


def test_only_the_method_with_vtt_absorbs() -> None:
    assert {method: FinetuneRecipe(method=method).uses_absorption for method in METHODS} == {
        "clip-lora": False,
        "clip-lora+vtt": True,
    }


class TestRanges:
    def test_every_number_has_a_range_around_its_default(self) -> None:
        numbers = {field.name for field in fields(FinetuneRecipe) if isinstance(field.default, int | float)}
        assert set(_RANGES) == numbers

    @pytest.mark.parametrize("name", _RANGES)
    def test_both_ends_are_inside(self, name: str) -> None:
        low, high = _RANGES[name]
        for value in (low, high):
            assert getattr(FinetuneRecipe.from_json({name: value}), name) == value

    @pytest.mark.parametrize("name", _RANGES)
    def test_what_is_no_number_or_outside_is_refused_by_name(self, name: str) -> None:
        low, high = _RANGES[name]
        for value in (low - 1, low - 1e-9, high + 1, -inf, inf, nan, True, None, "3", [3]):
            with pytest.raises(RecipeError, match=f"{name} between"):
                FinetuneRecipe.from_json({name: value})

    @pytest.mark.parametrize("name", _WHOLE_NUMBERS)
    def test_a_fraction_is_no_whole_number(self, name: str) -> None:
        with pytest.raises(RecipeError, match=f"a whole number for {name}, got 2.0"):
            FinetuneRecipe.from_json({name: 2.0})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"method": "maple"}, "a method among clip-lora, clip-lora\\+vtt, got 'maple'"),
        ({"method": None}, "a method among"),
        ({"prompt_template": "a photo"}, "one {}"),
        ({"prompt_template": "{} and {}"}, "one {}"),
        ({"prompt_template": "{}" + "a" * 199}, "at most 200 characters"),
        ({"prompt_template": 3}, "prompt template"),
        ({"placeholder": ""}, "placeholder word"),
        ({"placeholder": "a" * 21}, "placeholder word"),
        ({"placeholder": 3}, "placeholder word"),
        ({"learning_rate": 1e-3}, "'learning_rate'"),
        ({"rank": 8, "Rank": 8}, "'Rank'"),
    ],
)
def test_other_fields_are_refused_with_a_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        FinetuneRecipe.from_json(values)


def test_a_recipe_survives_json() -> None:
    recipe = FinetuneRecipe(method="clip-lora", rank=2, alpha=1.0, prompt_template="{} ü")
    assert FinetuneRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_fields_left_out_keep_their_defaults() -> None:
    assert FinetuneRecipe.from_json({"rank": 4}) == FinetuneRecipe(rank=4)


def test_a_recipe_is_exchanged_and_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        FinetuneRecipe().rank = 3  # type: ignore[misc]
