"""Every endpoint, asked with another tenant's ids: as if they did not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.infra.settings import Settings
from app.main import create_app
from tests.app.access.conftest import MakeCaller
from tests.fixtures.http_api import Api, encode_image

IMAGE = ("a.png", encode_image(3))
BODIES: dict[str, dict[str, object]] = {
    "POST /v1/support-sets/{support_set_id}/images": {"files": [("cat", IMAGE)]},
    "DELETE /v1/support-sets/{support_set_id}/classes": {"params": {"label": "cat"}},
    "PATCH /v1/support-sets/{support_set_id}/classes": {"params": {"label": "cat"}, "json": {"label": "lynx"}},
    "PATCH /v1/support-sets/{support_set_id}/images/{image_id}": {"json": {"label": "dog"}},
    "PATCH /v1/support-sets/{support_set_id}": {"json": {"negative": "cat"}},
    "PUT /v1/support-sets/{support_set_id}/groups": {"json": {"groups": {"a.png": "patient 1"}}},
    "PATCH /v1/models/{model}": {"json": {"false_rejects": 0.02}},
    "POST /v1/models/{model}/classes": {"files": [("bird", IMAGE)]},
    "POST /v1/models/{model}/predict": {"files": [("images", IMAGE)]},
    "POST /v1/models/{model}/attention": {"files": [("images", IMAGE)]},
    "POST /v1/models/{model}/evaluations": {"files": [("cat", IMAGE)]},
    "POST /v1/models/{model}/predictions": {"files": [("images", IMAGE)]},
}
"""What else a request needs to reach the id."""
IN_THE_BODY = {
    "POST /v1/jobs": lambda ids: {"json": {"support_set_id": ids["support_set_id"]}},
    "PUT /v1/aliases/{name}": lambda ids: {"json": {"model_id": ids["model"]}},
    "POST /v1/evaluations": lambda ids: {"files": [("cat", IMAGE)], "params": {"model": ids["model"]}},
    "POST /predict": lambda ids: {"files": [("images", IMAGE)], "data": {"model": ids["model"]}},
}
"""Endpoints that take an id in the body, or as a parameter."""
LISTS = (
    "/v1/support-sets",
    "/v1/jobs",
    "/v1/models",
    "/v1/aliases",
    "/v1/evaluations",
    "/v1/predictions",
    "/v1/webhooks",
)
NO_IDS = {
    "POST /v1/support-sets",
    "POST /v1/webhooks",
    "GET /v1/backbones",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    *(f"GET {p}" for p in LISTS),
}


def endpoints() -> list[str]:
    paths = create_app(Settings(data_dir=Path("unused"))).openapi()["paths"]
    return sorted(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)


@pytest.fixture
def owned(locked: Api, make_caller: MakeCaller) -> dict[str, str]:
    """Ids of everything that the first tenant has."""
    locked.client.headers.update(make_caller("first"))
    model = locked.publish()
    job = locked.client.get(f"/v1/models/{model}").json()["job_id"]
    support_set = locked.client.get(f"/v1/jobs/{job}").json()["support_set_id"]
    image = locked.client.get(f"/v1/support-sets/{support_set}").json()["images"][0]["id"]
    assert locked.client.put("/v1/aliases/best", json={"model_id": model}).status_code == 200
    evaluated = locked.client.post(f"/v1/models/{model}/evaluations?keep_images=true", files=[("cat", IMAGE)])
    evaluation = evaluated.json()["evaluations"][0]["id"]
    batch = locked.client.post(f"/v1/models/{model}/predictions", files=[("images", IMAGE)]).json()["id"]
    ids = {"support_set_id": support_set, "image_id": image, "job_id": job, "model": model, "name": "best"}
    webhook = locked.client.post("/v1/webhooks", json={"url": "https://lab.example/", "events": ["job.failed"]}).json()["id"]
    export = locked.client.post(f"/v1/models/{model}/exports/peft").json()["id"]
    return ids | {"kind": "peft", "export_id": export, "evaluation_id": evaluation, "batch_id": batch, "webhook_id": webhook}


@pytest.mark.parametrize("model_reference", ["model", "name", "job_id"])
def test_every_endpoint_answers_404_to_another_tenant(
    locked: Api, owned: dict[str, str], make_caller: MakeCaller, model_reference: str
) -> None:
    """A model is asked for by its id, by its alias and by its job's id."""
    kept_image = locked.client.get(f"/v1/evaluations/{owned['evaluation_id']}").json()["images"][0]["id"]
    stranger = make_caller("second")
    ids = owned | {"model": owned[model_reference]}
    walked = {}
    for endpoint in endpoints():
        if endpoint in NO_IDS:
            continue
        method, path = endpoint.split()
        extra = IN_THE_BODY[endpoint](ids) if endpoint in IN_THE_BODY else BODIES.get(endpoint, {})
        where = ids | {"image_id": kept_image} if "{evaluation_id}" in path else ids
        answer = locked.client.request(method, path.format(**where), headers=stranger, **extra)
        walked[endpoint] = (answer.status_code, answer.json()["code"])
    print(f"\nasked with another tenant's ids, the model by its {model_reference}:")
    for endpoint, (status, code) in walked.items():
        print(f"  {status} {code:<12} {endpoint}")
    assert len(walked) >= 20
    assert set(walked.values()) == {(404, "not_found")}


def test_lists_show_nothing_of_another_tenant(locked: Api, owned: dict[str, str], make_caller: MakeCaller) -> None:
    stranger = make_caller("second")
    for path in LISTS:
        assert locked.client.get(path).json()["items"] != []
        assert locked.client.get(path, headers=stranger).json()["items"] == []


def test_the_owner_still_has_everything_after_the_walk(locked: Api, owned: dict[str, str], make_caller: MakeCaller) -> None:
    stranger = make_caller("second")
    locked.client.delete(f"/v1/models/{owned['model']}", headers=stranger)
    locked.client.delete(f"/v1/support-sets/{owned['support_set_id']}", headers=stranger)
    assert locked.client.get(f"/v1/models/{owned['model']}").status_code == 200
    assert locked.client.get(f"/v1/support-sets/{owned['support_set_id']}").status_code == 200
    assert locked.client.get("/v1/models/best").json()["id"] == owned["model"]


def test_tenants_may_use_the_same_alias_and_idempotency_key(
    locked: Api, owned: dict[str, str], make_caller: MakeCaller
) -> None:
    job = {"json": {"support_set_id": owned["support_set_id"]}, "headers": {"Idempotency-Key": "same"}}
    first = locked.client.post("/v1/jobs", **job).json()["id"]  # type: ignore[arg-type]
    locked.client.headers.update(make_caller("second"))
    assert locked.client.post("/v1/jobs", **job).status_code == 404  # type: ignore[arg-type]
    other_set = locked.upload()
    second = locked.client.post("/v1/jobs", json={"support_set_id": other_set}, headers={"Idempotency-Key": "same"})
    assert (second.status_code, second.json()["id"] != first) == (202, True)
    model = locked.publish()
    assert locked.client.put("/v1/aliases/best", json={"model_id": model}).status_code == 200
    assert locked.client.get("/v1/models/best").json()["id"] == model
    assert sorted({path.split("/")[0] for path in locked.store_keys()}) == ["models", "tenants"]


def test_who_changed_what_is_in_the_audit_log(locked: Api, owned: dict[str, str]) -> None:
    from app.infra.access_repository import AccessRepository

    with locked.context.readers() as session:
        lines = [(row.action, row.created_ids) for row, name in AccessRepository(session).audit_events("first", 10)]
    assert lines[::-1] == [
        ("POST /v1/support-sets", [owned["support_set_id"]]),
        ("POST /v1/jobs", [owned["job_id"]]),
        ("PUT /v1/aliases/{name}", ["best"]),
        ("POST /v1/models/{model}/evaluations", [owned["evaluation_id"]]),
        ("POST /v1/models/{model}/predictions", [owned["batch_id"]]),
        ("POST /v1/webhooks", [owned["webhook_id"]]),
        ("POST /v1/models/{model}/exports/{kind}", [owned["export_id"]]),
    ]
