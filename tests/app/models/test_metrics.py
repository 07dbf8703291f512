"""The description of a model's metrics is that of the numbers that are really made."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from app.cli.synthetic_images import PAINTERS, make_image
from app.models.metrics import ModelMetrics
from tests.fixtures.http_api import Api
from tests.fixtures.noise_images import encode
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

OF_EARLIER_RELEASES = {"support", "linear_probe_leave_one_out", "ci95"}
QUICK = {"iterations": 1, "validation_iterations": 1, "num_views": 1, "rank": 2}


def measured(recipe: FinetuneRecipe, shot: int) -> dict[str, Any]:
    """Metrics of a run whose last class looks like the one before, so that there are mistakes."""
    labels = list(PAINTERS)[:3]
    painted = {**{label: label for label in labels}, labels[-1]: labels[-2]}
    classes = tuple(
        SupportClass(
            label,
            tuple(
                SupportImage(f"{number}.png", encode(make_image(painted[label], random.Random(f"{label}/{number}")), "PNG"))
                for number in range(shot)
            ),
        )
        for label in labels
    )
    adaptation = Adaptation(load_backbone("mini", device="cpu"), SupportSet(classes), recipe, 1)
    list(adaptation.steps())
    return adaptation.finish().metrics


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return measured(make_recipe("clip-lora", changes={**QUICK, "head": "sum", "validation_folds": 2}), 4)


@pytest.fixture(scope="module")
def empty() -> dict[str, Any]:
    return measured(make_recipe("frozen"), 1)


def undescribed(described: BaseModel) -> list[str]:
    """Names of the numbers that the schema does not describe, at any depth."""
    names = list(described.model_extra or {})
    for name in type(described).model_fields:
        value = getattr(described, name)
        for part in value if isinstance(value, list) else [value]:
            names += [f"{name}.{inner}" for inner in undescribed(part)] if isinstance(part, BaseModel) else []
    return names


def unmade(kind: type[BaseModel], value: dict[str, Any]) -> set[str]:
    """Names of described numbers that a full measurement lacks, at any depth."""
    missing = set(kind.model_fields) - set(value)
    for name, field in kind.model_fields.items():
        inner = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        inner += [part for outer in get_args(field.annotation) for part in get_args(outer) if isinstance(part, type)]
        found = value.get(name)
        first = found[0] if isinstance(found, list) and found else found
        for part in inner:
            if issubclass(part, BaseModel) and isinstance(first, dict):
                missing |= {f"{name}.{lacking}" for lacking in unmade(part, first)}
    return missing


def test_every_number_that_is_made_is_described(full: dict[str, Any], empty: dict[str, Any]) -> None:
    assert full["mistakes"], "a full measurement has one of everything"
    for metrics in (full, empty):
        assert undescribed(ModelMetrics.model_validate(metrics)) == []


def test_every_number_that_is_described_is_made(full: dict[str, Any]) -> None:
    others = ("zero_shot", "linear_probe", "frozen_head", "fine_tuned")
    only_of_the_served = {f"{name}.{fact}" for name in others for fact in ("how", "widening")}
    missing = {name for name in unmade(ModelMetrics, full) if name.rpartition(".")[2] not in OF_EARLIER_RELEASES}
    assert missing == only_of_the_served


def test_they_are_shown_as_they_are_stored_and_their_advice_on_top(
    api: Api, full: dict[str, Any], empty: dict[str, Any]
) -> None:
    for metrics in (full, empty):
        shown = api.client.get(f"/v1/models/{api.publish(metrics=metrics)}").json()
        assert shown["metrics"] == metrics
        assert shown["advice"] == metrics["advice"] != []
