"""Say which values the fields of a recipe may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from vtt_core.contract.errors import RecipeError, shown

WHOLE_NUMBERS = (
    "validation_folds",
    "validation_iterations",
    "iterations",
    "batch_size",
    "rank",
    "num_context_tokens",
    "num_prompt_tokens",
    "prompt_depth",
    "warm_up_steps",
    "conflict_window",
    "fusion_layers",
    "num_views",
    "convolution_width",
)

RANGES: dict[str, tuple[float, float]] = {
    "validation_folds": (0, 5),
    "validation_iterations": (1, 10_000),
    "iterations": (1, 10_000),
    "batch_size": (1, 1024),
    "rank": (1, 128),
    "alpha": (1e-3, 1024),
    "lora_dropout": (0, 0.9),
    "num_context_tokens": (1, 64),
    "num_prompt_tokens": (1, 64),
    "prompt_depth": (1, 64),
    "host_learning_rate": (0, 1),
    "fusion_learning_rate": (0, 1),
    "weight_decay": (0, 1),
    "adam_beta1": (0, 0.9999),
    "adam_beta2": (0, 0.99999),
    "adam_epsilon": (1e-12, 1e-2),
    "schedule_stretch": (1, 1000),
    "min_learning_rate": (0, 1),
    "warm_up_steps": (0, 10_000),
    "warm_up_learning_rate": (0, 1),
    "logit_scale": (1, 1000),
    "absorption_weight": (0, 1000),
    "conflict_window": (1, 10_000),
    "absorption_share": (0.01, 1),
    "fusion_layers": (1, 4),
    "num_views": (1, 5),
    "rotation_degrees": (0, 180),
    "jitter_strength": (0, 1),
    "flip_probability": (0, 1),
    "state_size_ratio": (0.05, 4),
    "convolution_width": (1, 16),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "head": ("text", "ridge", "sum", "centroid", "gda", "ridge-text", "text-centroid", "probe"),
    "products": ("float32", "fastest"),
    "optimiser": ("adamw", "sgd"),
    "switch_off": ("at-zero", "below-zero", "never"),
    "absorption": ("text-tower", "none"),
    "aggregator": ("ssm", "attention", "rnn", "lstm", "none"),
    "scan": ("four-ways", "deep-to-shallow", "shallow-to-deep", "both-ways"),
    "sequence": ("released", "paper"),
    "residual_branch": ("linear", "mlp"),
}

SWITCHES = ("projects_conflict", "uses_adapter")

MAX_TEMPLATE_LENGTH, MAX_WORDS_LENGTH, MAX_PLACEHOLDER_LENGTH = 200, 200, 20
"""Characters."""


def check_values(recipe: Any, methods: Sequence[str]) -> None:
    """Refuse a recipe with a value that is outside its range or of another type.

    Args:
        recipe: a `FinetuneRecipe`.
        methods: what its method may be.

    Raises:
        RecipeError: names the first such field.
    """
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in RANGES:
            _check_number(field.name, value)
        elif field.name in SWITCHES and not isinstance(value, bool):
            raise RecipeError(expected=f"true or false for {field.name}", got=shown(value), remedy=f"Change {field.name}")
        elif field.name in CHOICES:
            _check_choice(field.name, value, CHOICES[field.name])
    _check_choice("method", recipe.method, methods)
    if recipe.validation_folds == 1:
        raise RecipeError(expected="no validation_folds, or 2 to 5", got="1", remedy="Change validation_folds")
    _check_texts(recipe)


def _check_number(name: str, value: object) -> None:
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RecipeError(expected=f"{name} between {low} and {high}", got=shown(value), remedy=f"Change {name}")
    if name in WHOLE_NUMBERS and not isinstance(value, int):
        raise RecipeError(expected=f"a whole number for {name}", got=shown(value), remedy=f"Change {name}")


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise RecipeError(
            expected=f"{name} among " + ", ".join(choices), got=shown(value), remedy=f"Choose one of these for {name}"
        )


def _check_texts(recipe: Any) -> None:
    if not _is_template(recipe.prompt_template):
        raise _bad_template("a prompt template", recipe.prompt_template)
    if recipe.absorption_template != "" and not _is_template(recipe.absorption_template):
        raise _bad_template("no absorption template or one", recipe.absorption_template)
    if not isinstance(recipe.placeholder, str) or not 1 <= len(recipe.placeholder) <= MAX_PLACEHOLDER_LENGTH:
        raise RecipeError(
            expected="a short placeholder word", got=shown(recipe.placeholder), remedy="Use a single word such as 'x'"
        )
    if not isinstance(recipe.context_words, str) or len(recipe.context_words) > MAX_WORDS_LENGTH:
        raise RecipeError(
            expected=f"context words of at most {MAX_WORDS_LENGTH} characters",
            got=shown(recipe.context_words),
            remedy="Use a few words such as 'a photo of a', or none",
        )


def _is_template(value: object) -> bool:
    return isinstance(value, str) and value.count("{}") == 1 and len(value) <= MAX_TEMPLATE_LENGTH


def _bad_template(what: str, value: object) -> RecipeError:
    return RecipeError(
        expected=f"{what} of at most {MAX_TEMPLATE_LENGTH} characters with one {{}}",
        got=shown(value),
        remedy="Write it like 'a photo of a {}.'",
    )
