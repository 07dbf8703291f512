"""The API's description leads from one operation to the next by links that exist."""

from __future__ import annotations

from app.api_links import LINKS, add_links
from app.infra.settings import Role, Settings
from app.main import create_app


def test_every_link_leads_from_an_answer_to_an_operation_and_fills_its_path() -> None:
    document = create_app(Settings(role=Role.ALL)).openapi()
    known = {operation["operationId"]: operation for methods in document["paths"].values() for operation in methods.values()}
    for (source, status), links in LINKS.items():
        method, path = source.split()
        described = document["paths"][path][method]["responses"][status]["links"]
        assert set(described) == set(links)
        for link in described.values():
            target = known[link["operationId"]]
            in_path = {parameter["name"] for parameter in target.get("parameters", []) if parameter["in"] == "path"}
            given = set(link.get("parameters", {}))
            assert in_path <= given or in_path == {"name"}, "only the name of an alias is the sender's choice"
            assert given <= {parameter["name"] for parameter in target.get("parameters", [])}


def test_links_to_operations_of_another_role_are_left_out() -> None:
    document = create_app(Settings(role=Role.CONTROL)).openapi()
    assert "predict_with_model" not in document["paths"]["/v1/models/{model}"]["get"]["responses"]["200"]["links"]


def test_a_description_without_paths_stays_as_it_is() -> None:
    document: dict[str, object] = {"paths": {}}
    add_links(document)
    assert document == {"paths": {}}
