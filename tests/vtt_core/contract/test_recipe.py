import json
from dataclasses import FrozenInstanceError, fields, replace
from math import inf, nan
from typing import Any

import pytest

from vtt_core.contract.errors import RecipeError
from vtt_core.contract.recipe import HOSTS, METHODS, PRESETS, FinetuneRecipe, make_recipe
from vtt_core.contract.recipe_checks import CHOICES, RANGES, SWITCHES, WHOLE_NUMBERS


def test_the_defaults_are_the_released_recipe() -> None:
    recipe = FinetuneRecipe()
    assert (recipe.iterations, recipe.batch_size, recipe.rank, recipe.alpha, recipe.lora_dropout) == (250, 25, 16, 8, 0.25)
    assert (recipe.host_learning_rate, recipe.fusion_learning_rate, recipe.weight_decay) == (2e-4, 5e-4, 1e-2)
    assert (recipe.absorption_weight, recipe.conflict_window, recipe.logit_scale) == (7, 50, 100)
    assert (recipe.schedule_stretch, recipe.min_learning_rate, recipe.num_views) == (8, 1e-6, 5)
    assert recipe.scaling == 2.0
    assert recipe.uses_absorption


@pytest.mark.parametrize(("share", "iterations", "most"), [(1, 250, None), (0.33, 160, 53), (0.5, 3, 2), (0.01, 10, 1)])
def test_absorption_has_its_share_of_the_steps_one_at_least(share: float, iterations: int, most: int | None) -> None:
    assert FinetuneRecipe(absorption_share=share, iterations=iterations).max_absorption_steps == most


def test_only_the_method_with_vtt_absorbs() -> None:
    absorbing = [method for method in METHODS if FinetuneRecipe(method=method).uses_absorption]
    assert absorbing == [f"{host}+vtt" for host in HOSTS]
    assert [FinetuneRecipe(method=method).host for method in METHODS] == [host for host in HOSTS for _ in range(2)]


class TestRanges:
    def test_every_number_has_a_range_around_its_default(self) -> None:
        numbers = {
            field.name
            for field in fields(FinetuneRecipe)
            if isinstance(field.default, int | float) and not isinstance(field.default, bool)
        }
        assert set(RANGES) == numbers

    @pytest.mark.parametrize("name", RANGES)
    def test_both_ends_are_inside(self, name: str) -> None:
        low, high = RANGES[name]
        for value in (low, high):
            assert getattr(FinetuneRecipe.from_json({name: value}), name) == value

    @pytest.mark.parametrize("name", RANGES)
    def test_what_is_no_number_or_outside_is_refused_by_name(self, name: str) -> None:
        low, high = RANGES[name]
        for value in (low - 1, low - 1e-9, high + 1, -inf, inf, nan, True, None, "3", [3]):
            with pytest.raises(RecipeError, match=f"{name} between"):
                FinetuneRecipe.from_json({name: value})

    @pytest.mark.parametrize("name", WHOLE_NUMBERS)
    def test_a_fraction_is_no_whole_number(self, name: str) -> None:
        with pytest.raises(RecipeError, match=f"a whole number for {name}, got 2.0"):
            FinetuneRecipe.from_json({name: 2.0})


class TestChoicesAndSwitches:
    def test_every_other_field_is_a_choice_a_switch_or_a_text(self) -> None:
        texts = {"method", "prompt_template", "absorption_template", "placeholder", "context_words"}
        assert {field.name for field in fields(FinetuneRecipe)} == {*RANGES, *CHOICES, *SWITCHES, *texts}

    @pytest.mark.parametrize("name", CHOICES)
    def test_every_choice_is_taken_and_nothing_else(self, name: str) -> None:
        for choice in CHOICES[name]:
            assert getattr(FinetuneRecipe.from_json({name: choice}), name) == choice
        for value in ("other", None, 1, True):
            with pytest.raises(RecipeError, match=f"{name} among {CHOICES[name][0]}"):
                FinetuneRecipe.from_json({name: value})

    @pytest.mark.parametrize("name", SWITCHES)
    def test_a_switch_is_true_or_false(self, name: str) -> None:
        for value in (1, "true", None):
            with pytest.raises(RecipeError, match=f"true or false for {name}"):
                FinetuneRecipe.from_json({name: value})


class TestPresets:
    def test_released_is_what_fields_default_to(self) -> None:
        assert make_recipe("clip-lora+vtt", "released") == FinetuneRecipe()

    def test_tuned_is_released_but_where_a_backbone_was_measured(self) -> None:
        released = make_recipe("clip-lora+vtt", "released")
        faster = replace(released, products="fastest")
        assert make_recipe("clip-lora+vtt", backbone_id="ViT-B-16-quickgelu/openai") == faster == make_recipe("clip-lora+vtt")
        assert make_recipe("clip-lora+vtt", "released", backbone_id="mini") == released
        on_mini = replace(faster, host_learning_rate=2e-3, iterations=160, schedule_stretch=1, absorption_share=0.33)
        assert make_recipe("clip-lora+vtt", backbone_id="mini") == on_mini
        assert make_recipe("clip-lora", backbone_id="mini") == replace(on_mini, method="clip-lora")
        assert make_recipe("coop", backbone_id="mini") == make_recipe("coop", "released")

    def test_what_is_asked_for_wins_over_what_was_tuned(self) -> None:
        assert make_recipe("clip-lora", changes={"host_learning_rate": 3e-4}, backbone_id="mini").host_learning_rate == 3e-4

    def test_the_paper_describes_another_fusion_and_prompt(self) -> None:
        recipe = make_recipe("clip-lora+vtt", "paper")
        assert (recipe.sequence, recipe.scan, recipe.fusion_layers) == ("paper", "deep-to-shallow", 2)
        assert (recipe.residual_branch, recipe.uses_adapter, recipe.switch_off) == ("mlp", True, "below-zero")
        assert recipe.absorbing_template == "a photo of a {}"
        assert (recipe.rank, recipe.absorption_weight) == (16, 7)

    def test_a_host_has_the_optimiser_that_it_was_published_with(self) -> None:
        coop, maple = make_recipe("coop"), make_recipe("maple+vtt", "paper")
        assert (coop.optimiser, coop.host_learning_rate, coop.batch_size, coop.num_context_tokens) == ("sgd", 2e-3, 32, 16)
        assert (maple.optimiser, maple.host_learning_rate, maple.batch_size, maple.prompt_depth) == ("sgd", 3.5e-3, 4, 9)
        assert maple.sequence == "paper"

    @pytest.mark.parametrize("preset", ["original", "own"])
    def test_clip_lora_has_defaults_of_its_own_by_the_new_name_and_the_old(self, preset: str) -> None:
        recipe = make_recipe("clip-lora", preset)
        assert (recipe.rank, recipe.alpha, recipe.batch_size) == (2, 1, 32)

    def test_changes_stand_over_both(self) -> None:
        assert make_recipe("maple", "paper", {"batch_size": 7, "scan": "four-ways"}).batch_size == 7

    @pytest.mark.parametrize("preset", PRESETS)
    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_has_every_preset(self, method: str, preset: str) -> None:
        assert make_recipe(method, preset).method == method

    def test_an_unknown_preset_is_refused(self) -> None:
        with pytest.raises(RecipeError, match="a preset among tuned, released, paper, original, got 'papers'"):
            make_recipe("clip-lora", "papers")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"method": "mapel"}, "method among auto, frozen, clip-lora, clip-lora\\+vtt, .*, got 'mapel'"),
        ({"method": None}, "method among"),
        ({"prompt_template": "a photo"}, "one {}"),
        ({"prompt_template": "{} and {}"}, "one {}"),
        ({"prompt_template": "{}" + "a" * 199}, "at most 200 characters"),
        ({"prompt_template": 3}, "prompt template"),
        ({"absorption_template": "{"}, "no absorption template or one"),
        ({"context_words": "a" * 201}, "context words"),
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
