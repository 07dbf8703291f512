"""Deleted jobs over HTTP: gone by their id, with their events; their models stay."""

from __future__ import annotations

import pytest

from app.domain.jobs import JobState
from app.infra.job_repository import JobRepository
from tests.fixtures.http_api import Api, encode_image


@pytest.fixture
def ended(api: Api) -> tuple[str, str]:
    """A job that has succeeded, and its model."""
    job_id = api.start_job()
    return job_id, api.publish(job_id)


def delete(api: Api, job_id: str) -> None:
    assert api.client.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_a_deleted_job_is_gone_everywhere(api: Api, ended: tuple[str, str]) -> None:
    job_id, _ = ended
    other = api.start_job()
    delete(api, job_id)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events")):
        answer = api.client.request(method, f"/v1/jobs/{job_id}{path}")
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert [item["id"] for item in api.client.get("/v1/jobs").json()["items"]] == [other]
    with api.context.readers() as session:
        assert JobRepository(session).count_by_state()[JobState.SUCCEEDED] == 0


def test_the_model_of_a_deleted_job_stays_in_every_way(api: Api, ended: tuple[str, str]) -> None:
    job_id, model_id = ended
    before = api.client.get(f"/v1/models/{model_id}").json()
    delete(api, job_id)
    assert api.client.get(f"/v1/models/{model_id}").json() == before
    assert api.client.get(f"/v1/models/{job_id}").json() == before
    assert api.client.get(before["links"]["job"]).status_code == 410
    for export in ("adapter", "report"):
        assert api.client.get(before["links"][export]).status_code == 200
    predicted = api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a.png", encode_image(3)))])
    assert predicted.status_code == 200
    added = api.client.post(f"/v1/models/{model_id}/classes", files=[("bird", ("1.png", encode_image(70)))])
    assert added.status_code == 202


def test_a_deleted_job_without_a_model_is_gone_as_a_model_too(api: Api) -> None:
    job_id = api.start_job()
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    delete(api, job_id)
    assert api.client.get(f"/v1/models/{job_id}").status_code == 410


def test_a_job_that_has_not_ended_is_not_deleted(api: Api) -> None:
    job_id = api.start_job()
    answer = api.client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "job.illegal_transition")
    assert f"POST /v1/jobs/{job_id}/cancel" in answer.json()["remedy"]
    assert api.client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"


def test_of_the_events_only_the_end_stays_for_those_who_still_follow(api: Api, ended: tuple[str, str]) -> None:
    job_id, _ = ended
    delete(api, job_id)
    with api.context.readers() as session:
        events = JobRepository(session).events_after(job_id, 0)
    assert [event.payload["state"] for event in events] == ["succeeded"]


def test_the_key_of_a_deleted_job_starts_no_other(api: Api) -> None:
    request = {"support_set_id": api.upload()}
    job_id = api.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": "k"}).json()["id"]
    api.publish(job_id)
    delete(api, job_id)
    answer = api.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, "new key" in answer.json()["remedy"]) == (410, True)
    assert api.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": "k2"}).status_code == 202


def test_the_support_set_of_a_deleted_job_stays_frozen(api: Api) -> None:
    job_id = api.start_job()
    set_id = api.client.get(f"/v1/jobs/{job_id}").json()["support_set_id"]
    api.publish(job_id)
    delete(api, job_id)
    assert api.client.get(f"/v1/support-sets/{set_id}").json()["is_frozen"] is True
    assert api.client.delete(f"/v1/support-sets/{set_id}").status_code == 204
