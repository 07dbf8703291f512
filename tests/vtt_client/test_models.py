"""The fields of the client's models are those of the API's description, each of them and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from vtt_client import background_models, evaluation_models, export_models, models, report_models

SCHEMAS = json.loads((Path(__file__).parents[1] / "architecture" / "openapi.json").read_text())["components"]["schemas"]
SCHEMA_OF = {
    "SupportSet": "SupportSetSummary",
    "Upload": "UploadAnswer",
    "Job": "JobAnswer",
    "Model": "ModelAnswer",
    "Alias": "AliasAnswer",
    "HeldOutMistake": "Mistake",
    "ImageGroups": "Groups",
    "Share": "ShareAnswer",
    "ClassScores": "ClassScoresAnswer",
    "ReliabilityPoint": "ReliabilityBinAnswer",
    "SetCoverage": "SetCoverageAnswer",
    "UnknownClasses": "UnknownClassesAnswer",
    "Mistake": "EvaluationMistake",
    "Compared": "ComparedAnswer",
    "KeptImage": "KeptImageAnswer",
    "Evaluation": "EvaluationDetail",
    "Evaluations": "EvaluationsAnswer",
    "AddedClasses": "AddedClassesAnswer",
    "Attention": "AttentionAnswer",
    "Backbone": "BackboneAnswer",
    "Batch": "BatchAnswer",
    "Webhook": "WebhookAnswer",
    "Delivery": "DeliveryAnswer",
    "Export": "ExportAnswer",
    "Finding": "FindingAnswer",
    "Copies": "CopiesAnswer",
    "Shortcut": "ShortcutAnswer",
    "CurvePoint": "CurvePointAnswer",
    "Report": "ReportAnswer",
}
"""Names that differ: of the client's model -> of the schema."""
MODULES = (models, evaluation_models, background_models, export_models, report_models)


def answers() -> list[type[BaseModel]]:
    found = [one for module in MODULES for one in vars(module).values() if isinstance(one, type)]
    return [one for one in dict.fromkeys(found) if issubclass(one, models.Answer) and one is not models.Answer]


def kinds(schema: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    """Return the types of JSON that a schema allows, with those of the items of a list."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
        return kinds(target, definitions) if "enum" in target else {"object"}
    if "anyOf" in schema:
        return set().union(*(kinds(one, definitions) for one in schema["anyOf"]))
    if schema.get("type") == "array":
        items = schema["prefixItems"] if "prefixItems" in schema else [schema["items"]]
        return {f"array of {kind}" for item in items for kind in kinds(item, definitions)}
    return {json.dumps(one) for one in schema["enum"]} if "enum" in schema else {str(schema.get("type"))}


@pytest.mark.parametrize("model", answers(), ids=lambda model: model.__name__)
def test_a_model_has_the_fields_of_its_schema(model: type[BaseModel]) -> None:
    described = SCHEMAS[SCHEMA_OF.get(model.__name__, model.__name__)]
    own = model.model_json_schema(mode="serialization", ref_template="{model}")
    own_definitions = own.get("$defs", {})
    assert set(model.model_fields) == set(described["properties"])
    always = {name for name, field in model.model_fields.items() if field.is_required()}
    assert always <= set(described.get("required", ()))
    for name, schema in described["properties"].items():
        assert kinds(own["properties"][name], own_definitions) == kinds(schema, SCHEMAS), name
