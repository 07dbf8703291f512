"""Parse method specs: `NAME[@PRESET][:FIELD=VALUE...]`, as in `clip-lora+vtt@paper:iterations=100`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, get_type_hints

from vtt_core.contract.errors import InputError, RecipeError
from vtt_core.contract.recipe import ANY_METHODS, DEFAULT_PRESET, FinetuneRecipe, make_recipe

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class MethodSpec:
    """One method, and the recipe that its spec gives it."""

    text: str
    """The spec as it was written; it names the method in results."""
    name: str
    recipe: FinetuneRecipe | None
    """None for a baseline, which has no recipe."""


def parse_specs(
    text: str, baselines: Collection[str], changes: Mapping[str, Any] | None = None, *, backbone_id: str | None = None
) -> tuple[MethodSpec, ...]:
    """Parse specs that are separated by commas.

    Args:
        text: the specs.
        baselines: names of methods without a recipe.
        changes: fields for every recipe; a field in a spec overrides them.
        backbone_id: the backbone to fine-tune; without a preset, a method has the recipe that is tuned for it.

    Raises:
        InputError: a method or a field is unknown, or a method is named twice.
    """
    specs = tuple(parse_spec(part.strip(), baselines, changes, backbone_id=backbone_id) for part in text.split(","))
    for number, spec in enumerate(specs):
        if spec.text in [earlier.text for earlier in specs[:number]]:
            raise InputError(expected="each method once", got=f"{spec.text!r} twice", remedy="Remove one of them")
    return specs


def parse_spec(
    text: str, baselines: Collection[str], changes: Mapping[str, Any] | None = None, *, backbone_id: str | None = None
) -> MethodSpec:
    """Parse one spec; arguments and errors are those of `parse_specs`."""
    head, *assignments = text.split(":")
    name, at, preset = head.partition("@")
    if name in baselines:
        if at or assignments:
            raise InputError(expected=f"{name} alone, since it has no recipe", got=repr(text), remedy=f"Write only {name}")
        return MethodSpec(text, name, None)
    if name not in ANY_METHODS:
        raise _unknown("a method", name, [*baselines, *ANY_METHODS])
    own = dict(_assignment(assignment, text) for assignment in assignments)
    recipe = make_recipe(name, preset if at else DEFAULT_PRESET, {**(changes or {}), **own}, backbone_id=backbone_id)
    return MethodSpec(text, name, recipe)


def _assignment(assignment: str, spec: str) -> tuple[str, Any]:
    field, equals, value = assignment.partition("=")
    types = get_type_hints(FinetuneRecipe)
    known = [known.name for known in fields(FinetuneRecipe) if known.name != "method"]
    if not equals:
        raise InputError(expected="field=value after each colon", got=f"{assignment!r} in {spec!r}", remedy="Write the value")
    if field not in known:
        raise _unknown("a field of the recipe", field, known)
    return field, _value(field, value, types[field])


def _value(field: str, text: str, kind: type) -> Any:
    """Return the value of a field by its type; the recipe checks its range."""
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError) as error:
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise RecipeError(expected=f"{expected} for {field}", got=repr(text[:80]), remedy=f"Correct {field}") from error


def _unknown(what: str, name: str, known: Sequence[str]) -> InputError:
    near = get_close_matches(name, known)
    remedy = f"Perhaps you mean {' or '.join(near)}" if near else "Choose one of them"
    return InputError(expected=f"{what} among {', '.join(known)}", got=repr(name[:80]), remedy=remedy)
