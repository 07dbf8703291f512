"""Interim models over HTTP: they predict, nothing may depend on them, and the job's own model replaces them."""

from __future__ import annotations

import pytest

from app.domain.ids import MODEL_PREFIX, new_id
from app.infra.clock import utc_now
from app.infra.leases import LeaseRepository
from app.infra.tables import ModelRow
from tests.fixtures.http_api import FAKE_ADAPTER, LABELS, Api, encode_image

IMAGE = [("images", ("a.png", encode_image(1)))]


def publish_interim(api: Api, job_id: str) -> str:
    """Publish an interim model like a worker that then fine-tunes."""
    model_id = new_id(MODEL_PREFIX)
    for name, content in FAKE_ADAPTER.items():
        api.context.store.put(f"models/{model_id}/{name}", content)
    with api.context.sessions.begin() as session:
        leases = LeaseRepository(session)
        lease = leases.claim(job_id, "tester", 60, utc_now())
        assert lease is not None
        model = ModelRow(
            id=model_id,
            job_id=job_id,
            is_interim=True,
            backbone_id="mini",
            backbone_sha256="0" * 64,
            labels=list(LABELS),
            recipe={"method": "frozen"},
            metrics={},
            adapter_key=f"models/{model_id}",
            adapter_bytes=1,
            created_at=utc_now(),
        )
        leases.publish_interim(lease, model, utc_now())
    return model_id


@pytest.fixture
def job_id(api: Api) -> str:
    return api.start_job()


@pytest.fixture
def interim_id(api: Api, job_id: str) -> str:
    return publish_interim(api, job_id)


def test_it_predicts_and_is_named_by_its_job(api: Api, job_id: str, interim_id: str) -> None:
    job = api.client.get(f"/v1/jobs/{job_id}").json()
    assert (job["state"], job["model_id"], job["interim_model_id"]) == ("running", None, interim_id)
    assert job["links"]["interim_model"] == f"/v1/models/{interim_id}"
    assert [item["interim_model_id"] for item in api.client.get("/v1/jobs").json()["items"]] == [interim_id]
    assert [(item["id"], item["interim"]) for item in api.client.get("/v1/models").json()["items"]] == [(interim_id, True)]
    assert api.client.post(f"/v1/models/{interim_id}/predict", files=IMAGE).status_code == 200
    by_job = api.client.post(f"/v1/models/{job_id}/predict", files=IMAGE)
    assert (by_job.status_code, by_job.json()["code"]) == (409, "model.not_ready")
    assert interim_id in by_job.json()["remedy"]


def test_it_is_gone_once_the_job_has_succeeded_and_names_its_successor(api: Api, job_id: str, interim_id: str) -> None:
    assert api.client.post(f"/v1/models/{interim_id}/predict", files=IMAGE).status_code == 200
    final_id = api.publish(job_id)
    job = api.client.get(f"/v1/jobs/{job_id}").json()
    assert (job["model_id"], job["interim_model_id"], job["links"]["interim_model"]) == (final_id, None, None)
    assert [item["id"] for item in api.client.get("/v1/models").json()["items"]] == [final_id]
    for answer in (
        api.client.get(f"/v1/models/{interim_id}"),
        api.client.post(f"/v1/models/{interim_id}/predict", files=IMAGE),
    ):
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
        assert final_id in answer.json()["remedy"]
    assert api.client.delete(f"/v1/models/{final_id}").status_code == 204
    assert final_id not in api.client.get(f"/v1/models/{interim_id}").json()["remedy"]


def test_it_stays_when_the_job_is_cancelled(api: Api, job_id: str, interim_id: str) -> None:
    asked = api.client.post(f"/v1/jobs/{job_id}/cancel")
    assert asked.json()["interim_model_id"] == interim_id
    with api.context.sessions.begin() as session:
        leases = LeaseRepository(session)
        lease = leases.claim(job_id, "tester", 60, utc_now())
        assert lease is not None
        leases.cancel_by_worker(lease, utc_now())
    assert api.client.get(f"/v1/jobs/{job_id}").json()["interim_model_id"] == interim_id
    assert api.client.post(f"/v1/models/{interim_id}/predict", files=IMAGE).status_code == 200
    assert api.client.put("/v1/aliases/current", json={"model_id": interim_id}).status_code == 200


def test_nothing_may_depend_on_it_while_it_will_be_replaced(api: Api, job_id: str, interim_id: str) -> None:
    served = api.publish()
    assert api.client.put("/v1/aliases/current", json={"model_id": served}).status_code == 200
    for answer in (
        api.client.put("/v1/aliases/current", json={"model_id": interim_id}),
        api.client.put(f"/v1/models/{interim_id}/pin"),
        api.client.post(f"/v1/models/{interim_id}/classes", files=[("bird", ("b.png", encode_image(9)))]),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "model.interim")
        assert job_id in answer.json()["remedy"]
    assert api.client.get("/v1/models/current").json()["id"] == served
    assert api.client.delete(f"/v1/models/{interim_id}/pin").status_code == 200


def test_no_form_is_offered_while_it_will_be_replaced(api: Api, interim_id: str) -> None:
    forms = api.client.get(f"/v1/models/{interim_id}/exports").json()["forms"]
    assert forms
    for form in forms:
        asked = api.client.post(f"/v1/models/{interim_id}/exports/{form['kind']}")
        assert form["offered"] == (asked.status_code == 202)
    assert any("will replace" in form["reason"] for form in forms)
