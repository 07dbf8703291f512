"""The API's description names the schemas of its problems."""

from fastapi import FastAPI

from app.infra.settings import Settings
from app.main import create_app
from app.openapi import document_answers


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = create_app(Settings()).openapi()
    schemas, examples = document["components"]["schemas"], document["components"]["examples"]
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
    places = {f"#/components/schemas/{name}" for name in schemas} | {f"#/components/examples/{name}" for name in examples}
    assert references <= places
    assert "HTTPValidationError" not in schemas
    assert {"expected", "got", "remedy", "code"} <= set(schemas["Problem"]["properties"])


def test_an_application_without_schemas_gets_those_of_problems() -> None:
    app = FastAPI()
    document_answers(app)
    assert "Problem" in app.openapi()["components"]["schemas"]
    assert app.openapi() is app.openapi()
