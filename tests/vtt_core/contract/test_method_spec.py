"""What a method may be called, and what is said of what it may not."""

from __future__ import annotations

import pytest

from vtt_core.contract.errors import InputError, RecipeError
from vtt_core.contract.method_spec import parse_spec, parse_specs
from vtt_core.contract.recipe import make_recipe

BASELINES = ("zero-shot", "linear-probe")


def test_a_baseline_has_no_recipe() -> None:
    spec = parse_spec("zero-shot", BASELINES)
    assert (spec.text, spec.name, spec.recipe) == ("zero-shot", "zero-shot", None)


def test_preset_and_fields_make_the_recipe_and_keep_their_types() -> None:
    assert parse_spec("clip-lora+vtt", BASELINES).recipe == make_recipe("clip-lora+vtt")
    assert parse_spec("clip-lora", BASELINES, backbone_id="mini").recipe == make_recipe("clip-lora", backbone_id="mini")
    assert parse_spec("clip-lora@released", BASELINES, backbone_id="mini").recipe == make_recipe("clip-lora", "released")
    assert parse_spec("clip-lora+vtt@paper", BASELINES).recipe == make_recipe("clip-lora+vtt", "paper")
    spec = parse_spec("clip-lora+vtt@paper:conflict_window=20:alpha=4:uses_adapter=no:aggregator=lstm", BASELINES)
    changes = {"conflict_window": 20, "alpha": 4.0, "uses_adapter": False, "aggregator": "lstm"}
    assert spec.recipe == make_recipe("clip-lora+vtt", "paper", changes)
    assert spec.recipe is not None
    assert isinstance(spec.recipe.alpha, float)
    assert spec.text == "clip-lora+vtt@paper:conflict_window=20:alpha=4:uses_adapter=no:aggregator=lstm"


def test_changes_for_all_give_way_to_a_methods_own() -> None:
    specs = parse_specs("zero-shot, clip-lora,clip-lora+vtt:iterations=9", BASELINES, {"iterations": 5})
    assert [spec.recipe.iterations if spec.recipe else None for spec in specs] == [None, 5, 9]
    assert [spec.text for spec in specs] == ["zero-shot", "clip-lora", "clip-lora+vtt:iterations=9"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip-lorra", "Perhaps you mean clip-lora"),
        ("zero_shot", "Perhaps you mean zero-shot"),
        ("clip-lora:iteration=5", "Perhaps you mean iterations"),
        ("nonsense", "Choose one of them"),
        ("clip-lora:method=coop", "a field of the recipe"),
        ("clip-lora:iterations", "field=value"),
        ("zero-shot:iterations=5", "has no recipe"),
        ("zero-shot@paper", "has no recipe"),
        ("", "a method among"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_spec(text, BASELINES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip-lora:iterations=many", "a whole number for iterations"),
        ("clip-lora:alpha=big", "a number for alpha"),
        ("clip-lora:uses_adapter=perhaps", "true or false for uses_adapter"),
        ("clip-lora:iterations=0", "iterations between"),
        ("clip-lora@mine", "a preset among"),
    ],
)
def test_values_that_a_field_cannot_have_are_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_spec(text, BASELINES)


def test_a_method_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'zero-shot' twice"):
        parse_specs("zero-shot,clip-lora,zero-shot", BASELINES)
