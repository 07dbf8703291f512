"""The API's description names the schemas of its problems."""

from fastapi import FastAPI

from app.infra.settings import Settings
from app.main import create_app
from app.openapi import document_answers


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = create_app(Settings()).openapi()
    schemas = document["components"]["schemas"]
    references: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            references.update([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(document)
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    assert {"expected", "got", "remedy", "code"} <= set(schemas["Problem"]["properties"])


def test_an_application_without_schemas_gets_those_of_problems() -> None:
    app = FastAPI()
    document_answers(app)
    assert "Problem" in app.openapi()["components"]["schemas"]
    assert app.openapi() is app.openapi()
