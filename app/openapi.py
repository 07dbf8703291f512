"""Add the schema of problem documents, links between operations and examples to the API's description."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api_examples import add_examples, add_problems
from app.api_links import add_links
from app.problem_details import Problem

_REF = "#/components/schemas/{model}"


def document_answers(app: FastAPI) -> None:
    """Make `app.openapi()` have the schemas of problem documents instead of FastAPI's own, links and examples."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            add_links(document)
            add_examples(document)
            add_problems(document)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas |= _problem_schemas()
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template=_REF)
    return {**schema.pop("$defs", {}), "Problem": schema}
