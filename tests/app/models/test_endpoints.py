"""Models and aliases over HTTP."""

from __future__ import annotations

import io
import zipfile

import pytest

from app.infra.access_repository import AccessRepository
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
    assert (bodies[0]["metrics"], bodies[0]["advice"], bodies[0]["false_rejects"]) == ({"num_support_images": 2}, [], None)


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


@pytest.mark.slow
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


def test_the_threshold_of_a_model_is_set_shown_and_reset(api: Api) -> None:
    model_id = api.publish()
    here = f"/v1/models/{model_id}"
    for share in (0.001, 0.02, 0.5, None):
        changed = api.client.patch(here, json={"false_rejects": share})
        assert (changed.status_code, changed.json()["false_rejects"]) == (200, share)
        assert api.client.get(here).json() == changed.json()
    assert api.client.get("/v1/models").json()["items"][0]["false_rejects"] is None


def test_a_wrong_change_is_refused_and_changes_nothing(api: Api) -> None:
    here = f"/v1/models/{api.publish()}"
    api.client.patch(here, json={"false_rejects": 0.02})
    for change, expected in (
        ({}, "a JSON object with at least one of `name`, `false_rejects`"),
        ({"false_rejects": 0.6}, "less than or equal to 0.5"),
        ({"false_rejects": 0}, "greater than or equal to 0.001"),
        ({"false_rejects": "few"}, "a valid number"),
        ({"false_rejects": 0.1, "labels": []}, "not to be there"),
    ):
        answer = api.client.patch(here, json=change)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert expected in answer.json()["expected"]
        assert api.client.get(here).json()["false_rejects"] == 0.02


def test_a_model_that_is_not_there_cannot_be_changed(api: Api) -> None:
    assert api.client.patch("/v1/models/mdl_nothing", json={"false_rejects": 0.1}).status_code == 404
    model_id = api.publish()
    api.client.delete(f"/v1/models/{model_id}")
    assert api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": 0.1}).status_code == 410


def test_a_change_of_a_model_is_in_the_audit_log(api: Api) -> None:
    model_id = api.publish()
    api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": 0.1})
    with api.context.readers() as session:
        newest, _ = AccessRepository(session).audit_events(None, 1)[0]
    assert (newest.action, newest.path) == ("PATCH /v1/models/{model}", f"/v1/models/{model_id}")


def test_a_model_of_an_earlier_release_shows_the_metrics_that_it_has(api: Api) -> None:
    old = {"accuracy": 1.0, "ci95": 0.14}
    metrics = {"num_support_images": 10, "support": old, "zero_shot": old, "linear_probe_leave_one_out": old, "seconds": 3}
    shown = api.client.get(f"/v1/models/{api.publish(metrics=metrics)}").json()
    assert (shown["metrics"], shown["advice"]) == (metrics, [])
