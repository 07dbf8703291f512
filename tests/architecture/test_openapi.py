"""The API's description changes only on purpose: `python -m tests.architecture.write_openapi` records it anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.architecture.write_openapi import SNAPSHOT, describe

API = describe()
REGISTRY = Registry().with_resource("urn:api", Resource.from_contents(API, default_specification=DRAFT202012))
PROBLEM = {"$id": "urn:problem", "$ref": "urn:api#/components/schemas/Problem"}
NOT_RECORDED = frozenset(
    {
        "access.quota_exceeded",
        "access.too_many_followers",
        "adapter.backbone_mismatch",
        "archive.bad_layout",
        "archive.too_large",
        "archive.unknown_encoding",
        "archive.unsupported_method",
        "backbone.unavailable",
        "backbone.unsupported",
        "disk.full",
        "export.unsupported",
        "image.bad_dimensions",
        "image.not_an_image",
        "image.too_many_bytes",
        "model.interim",
        "model.not_ready",
        "predictions.not_ready",
        "service.overloaded",
        "store.unavailable",
        "support_set.empty_class",
        "support_set.negative_class_taken",
        "support_set.several_problems",
        "support_set.too_many_classes",
        "support_set.too_many_shots",
    }
)
"""Codes without an example: most take a full disk, a lost store, a busy service or many files to provoke."""
METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> Iterator[Any]:
    for path, methods in API["paths"].items():
        for method in METHODS:
            if method in methods:
                yield pytest.param(methods[method], id=f"{method.upper()} {path}")


@pytest.mark.slow
def test_the_description_is_the_recorded_one() -> None:
    assert API == json.loads(SNAPSHOT.read_text(encoding="utf-8")), (
        "if the change is meant, run: python -m tests.architecture.write_openapi"
    )


@pytest.mark.parametrize("operation", list(operations()))
def test_an_operation_is_documented_for_its_users(operation: dict[str, Any]) -> None:
    assert len(operation["description"]) > 30
    assert operation["tags"]
    for status, response in operation["responses"].items():
        if int(status) >= 400 and int(status) != 503:
            assert list(response["content"]) == ["application/problem+json"]
        assert response["description"]
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), parameter["name"]


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the bodies that an example can show: JSON, forms and texts of requests and of answers that are no errors."""
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {media_type}", body
    for status, answer in operation["responses"].items():
        for media_type, body in answer.get("content", {}).items():
            if int(status) < 400 and (media_type == "application/json" or media_type.startswith("text/")):
                yield f"{status} {media_type}", body


@pytest.mark.parametrize("operation", list(operations()))
def test_every_body_has_an_example_that_its_schema_allows(operation: dict[str, Any]) -> None:
    for name, body in bodies(operation):
        assert "example" in body, f"{name}: run python -m tests.architecture.write_api_examples"
        schema = {"$id": "urn:body", **with_full_references(body.get("schema", {}))}
        errors = list(Draft202012Validator(schema, registry=REGISTRY).iter_errors(body["example"]))
        assert errors == [], name


@pytest.mark.parametrize("operation", list(operations()))
def test_every_answer_that_is_an_error_shows_one_that_was_recorded(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        body = answer.get("content", {}).get("application/problem+json")
        if int(status) < 400 or body is None:
            continue
        codes = set(re.findall(r"^- `([^`]+)`", answer["description"], flags=re.MULTILINE))
        examples = body.get("examples", {})
        assert examples.keys() == codes - NOT_RECORDED, f"{status}: run python -m tests.architecture.write_problem_examples"
        for code, reference in examples.items():
            shown = API["components"]["examples"][reference["$ref"].rsplit("/", 1)[-1]]["value"]
            assert (shown["code"], str(shown["status"])) == (code, status)
            assert list(Draft202012Validator(PROBLEM, registry=REGISTRY).iter_errors(shown)) == []


def with_full_references(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"urn:api{value}" if key == "$ref" else with_full_references(value)
            for key, value in schema.items()
            if key != "discriminator"
        }
    return [with_full_references(item) for item in schema] if isinstance(schema, list) else schema


def test_the_id_of_an_operation_is_a_name_for_a_method() -> None:
    ids = [operation["operationId"] for methods in API["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)
    assert {"create_support_set", "create_job", "predict_with_model", "export_adapter"} <= set(ids)
    assert [name for name in ids if not name.isidentifier() or "_v1_" in name] == []


def test_no_two_schemas_have_the_same_name() -> None:
    assert [name for name in API["components"]["schemas"] if "__" in name] == []
