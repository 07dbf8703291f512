"""Models and aliases over HTTP."""

from __future__ import annotations

import io
import zipfile

import pytest

from app.infra.settings import Role
from tests.fixtures.http_api import Api, MakeApi


def test_a_model_is_shown_by_id_by_alias_and_by_its_job(api: Api) -> None:
    job_id = api.start_job()
    model_id = api.publish(job_id)
    pointed = api.client.put("/v1/aliases/satellite", json={"model_id": model_id})
    assert (pointed.status_code, pointed.json()["model_id"]) == (200, model_id)
    bodies = [api.client.get(f"/v1/models/{reference}").json() for reference in (model_id, "satellite", job_id)]
    assert bodies[0] == bodies[1] == bodies[2]
    assert (bodies[0]["labels"], bodies[0]["aliases"], bodies[0]["job_id"]) == (["cat", "dog"], ["satellite"], job_id)
    assert bodies[0]["metrics"] == {"support_accuracy": 1.0}


def test_an_alias_moves_to_another_model(api: Api) -> None:
    first, second = api.publish(), api.publish()
    for model_id in (first, second):
        assert api.client.put("/v1/aliases/current", json={"model_id": model_id}).status_code == 200
    assert api.client.get("/v1/models/current").json()["id"] == second
    assert [item["aliases"] for item in api.client.get("/v1/models").json()["items"]] == [["current"], []]


@pytest.mark.parametrize("name", ["mdl_1", "Upper", "-dash", "a" * 101, "a b"])
def test_an_alias_that_could_be_an_id_or_is_no_name_is_refused(api: Api, name: str) -> None:
    answer = api.client.put(f"/v1/aliases/{name}", json={"model_id": "mdl_1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


def test_an_alias_needs_a_model(api: Api) -> None:
    assert api.client.put("/v1/aliases/current", json={"model_id": "mdl_nothing"}).status_code == 404
    assert api.client.get("/v1/models/current").status_code == 404


def test_a_deleted_model_is_gone_by_id_and_by_alias(api: Api) -> None:
    model_id = api.publish()
    api.client.put("/v1/aliases/current", json={"model_id": model_id})
    assert api.client.delete(f"/v1/models/{model_id}").status_code == 204
    for reference in (model_id, "current"):
        answer = api.client.get(f"/v1/models/{reference}")
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert api.client.delete(f"/v1/models/{model_id}").status_code == 410
    assert api.client.get(f"/v1/models/{model_id}/exports/adapter").status_code == 410
    assert api.client.get("/v1/models").json()["items"] == []
    assert api.blobs("models") == []


def test_the_exported_adapter_is_the_same_file_each_time(api: Api) -> None:
    model_id = api.publish()
    answers = [api.client.get(f"/v1/models/{model_id}/exports/adapter") for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answers[0].content)) as archive:
        assert archive.namelist() == ["manifest.json", "adapter.safetensors"]
        assert archive.read("adapter.safetensors") == b"tensors"


def test_lost_files_are_the_service_s_fault(api: Api) -> None:
    model_id = api.publish()
    api.context.store.delete_prefix(f"models/{model_id}")
    answer = api.client.get(f"/v1/models/{model_id}/exports/adapter")
    assert (answer.status_code, answer.json()["code"]) == (500, "store.missing")


def test_a_model_shows_whether_it_is_resident_and_pinned(api: Api) -> None:
    model_id = api.publish()
    shown = api.client.get(f"/v1/models/{model_id}").json()
    assert (shown["resident"], shown["pinned"]) == (False, False)
    pinned = api.client.put(f"/v1/models/{model_id}/pin")
    assert (pinned.status_code, pinned.json()["resident"], pinned.json()["pinned"]) == (200, True, True)
    (listed,) = api.client.get("/v1/models").json()["items"]
    assert (listed["resident"], listed["pinned"]) == (True, True)
    let_go = api.client.delete(f"/v1/models/{model_id}/pin").json()
    assert (let_go["resident"], let_go["pinned"]) == (True, False)


def test_where_nothing_predicts_residency_is_unknown_and_a_pin_is_kept_for_others(make_api: MakeApi) -> None:
    api = make_api(role=Role.CONTROL)
    model_id = api.publish()
    pinned = api.client.put(f"/v1/models/{model_id}/pin").json()
    assert (pinned["resident"], pinned["pinned"]) == (None, True)


def test_a_model_that_is_not_there_cannot_be_pinned(api: Api) -> None:
    assert api.client.put("/v1/models/mdl_nothing/pin").status_code == 404
    model_id = api.publish()
    api.client.delete(f"/v1/models/{model_id}")
    assert api.client.put(f"/v1/models/{model_id}/pin").status_code == 410
