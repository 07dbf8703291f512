"""The report of a published model over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from app.infra.settings import Role
from app.infra.tables import ModelRow
from app.reports.data import data_digest
from app.reports.page import content_policy
from tests.fixtures.http_api import Api, MakeApi, encode_image

OLD_METRICS = {
    "num_support_images": 2,
    "support": {"accuracy": 1.0, "ci95": 0.33},
    "zero_shot": {"accuracy": 0.5, "ci95": 0.37},
    "linear_probe_leave_one_out": {"accuracy": 0.0, "ci95": 0.33},
}


def report(api: Api, reference: str) -> str:
    answer = api.client.get(f"/v1/models/{reference}/exports/report")
    assert answer.status_code == 200, answer.text
    return answer.text


def set_metrics(api: Api, model_id: str, metrics: dict[str, Any]) -> None:
    with api.context.sessions.begin() as session:
        session.get_one(ModelRow, model_id).metrics = metrics


def test_a_report_is_a_page_that_may_load_and_run_nothing(api: Api) -> None:
    model_id = api.publish()
    answer = api.client.get(f"/v1/models/{model_id}/exports/report")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == content_policy("'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'inline; filename="{model_id}-report.html"'
    assert api.client.get(f"/v1/models/{model_id}").json()["links"]["report"] == f"/v1/models/{model_id}/exports/report"


def test_a_report_is_found_by_alias_and_by_job_in_the_role_control_too(make_api: MakeApi) -> None:
    api = make_api(role=Role.CONTROL)
    job_id = api.start_job()
    model_id = api.publish(job_id)
    api.client.put("/v1/aliases/best", json={"model_id": model_id})
    assert report(api, model_id) == report(api, "best") == report(api, job_id)


def test_a_report_names_the_images_by_their_digest_and_says_how_to_make_the_model_again(api: Api) -> None:
    images = {"cat": [encode_image(1), encode_image(2)], "dog": [encode_image(3)], "other": [encode_image(4)]}
    set_id = api.upload(images)
    api.client.patch(f"/v1/support-sets/{set_id}", json={"negative": "other"})
    page = report(api, api.publish(api.start_job(set_id)))
    named = [("" if label == "other" else label, image) for label, several in images.items() for image in several]
    assert data_digest((hashlib.sha256(image).hexdigest(), label) for label, image in named) in page
    assert "3 images in 2 classes, 1 image of none of them; no groups named" in page
    assert f"&#34;support_set_id&#34;: &#34;{set_id}&#34;" in page
    assert "&#34;seed&#34;: 7" in page


def test_after_its_support_set_is_deleted_a_report_keeps_what_is_known(api: Api) -> None:
    set_id = api.upload()
    model_id = api.publish(api.start_job(set_id))
    set_metrics(api, model_id, OLD_METRICS)
    assert api.client.delete(f"/v1/support-sets/{set_id}").status_code == 204
    page = report(api, model_id)
    assert "The support set was deleted on" in page
    assert "data SHA-256" not in page
    assert "Class names alone (zero-shot)" in page
    assert "Upload the same images" in page


def test_a_model_of_an_earlier_release_has_a_report(api: Api) -> None:
    model_id = api.publish()
    set_metrics(api, model_id, OLD_METRICS)
    page = report(api, model_id)
    assert "was not measured" in page
    assert "50.0 %" in page


def test_a_label_is_no_markup(api: Api) -> None:
    images = {"<b>cat</b>": [encode_image(1)], "dog": [encode_image(2)]}
    model_id = api.publish(api.start_job(api.upload(images), name="<script>alert(1)</script>"))
    with api.context.sessions.begin() as session:
        session.get_one(ModelRow, model_id).name = "<script>alert(1)</script>"
    page = report(api, model_id)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_deleted_model_has_no_report(api: Api) -> None:
    model_id = api.publish()
    api.client.delete(f"/v1/models/{model_id}")
    assert api.client.get(f"/v1/models/{model_id}/exports/report").status_code == 410


def test_a_lost_manifest_is_the_service_s_fault(api: Api) -> None:
    model_id = api.publish()
    api.context.store.delete_prefix(f"models/{model_id}")
    answer = api.client.get(f"/v1/models/{model_id}/exports/report")
    assert (answer.status_code, answer.json()["code"]) == (500, "store.missing")


@pytest.mark.parametrize("metrics", [{}, {"support_accuracy": 1.0}])
def test_a_model_without_measurements_says_so(api: Api, metrics: dict[str, Any]) -> None:
    model_id = api.publish()
    set_metrics(api, model_id, metrics)
    assert "No measurement of this model is stored." in report(api, model_id)
