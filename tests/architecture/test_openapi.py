"""The API's description changes only on purpose: `python -m tests.architecture.write_openapi` records it anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.architecture.write_openapi import SNAPSHOT, describe

METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> Iterator[Any]:
    for path, methods in describe()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield pytest.param(methods[method], id=f"{method.upper()} {path}")


@pytest.mark.slow
def test_the_description_is_the_recorded_one() -> None:
    assert describe() == json.loads(SNAPSHOT.read_text(encoding="utf-8")), (
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
