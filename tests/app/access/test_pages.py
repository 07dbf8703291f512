"""What the pages show to callers of two tenants, and to one that may only predict."""

from __future__ import annotations

from app.domain.access import Scope
from tests.app.access.conftest import MakeCaller
from tests.app.pages.test_result import METRICS
from tests.fixtures.http_api import Api


def test_pages_show_no_job_and_no_model_of_another_tenant(locked: Api, make_caller: MakeCaller) -> None:
    locked.client.headers.update(make_caller("first"))
    job_id = locked.start_job(name="secret leaves")
    model_id = locked.publish(job_id)
    stranger = make_caller("second")
    assert locked.client.get(f"/models/{model_id}").status_code == 200
    assert locked.client.get(f"/models/{model_id}", headers=stranger).status_code == 404
    assert locked.client.get(f"/jobs/{job_id}", headers=stranger).status_code == 404
    assert "secret leaves" not in locked.client.get("/jobs", headers=stranger).text


def test_a_place_in_the_queue_counts_the_jobs_of_all_tenants(locked: Api, make_caller: MakeCaller) -> None:
    locked.client.headers.update(make_caller("first"))
    locked.start_job()
    locked.client.headers.update(make_caller("second"))
    job_id = locked.start_job()
    assert locked.client.get(f"/v1/jobs/{job_id}").json()["queue_place"] == 2
    assert [job["queue_place"] for job in locked.client.get("/v1/jobs").json()["items"]] == [2]


def test_who_may_only_predict_sees_a_model_but_no_image_of_its_set_and_no_form(locked: Api, make_caller: MakeCaller) -> None:
    locked.client.headers.update(make_caller("first"))
    model_id = locked.publish(metrics=METRICS)
    assert 'method="post"' in locked.client.get(f"/models/{model_id}").text
    shown = locked.client.get(f"/models/{model_id}", headers=make_caller("first", frozenset({Scope.PREDICT})))
    assert "About 80 of 100" in shown.text
    assert "<img" not in shown.text
    assert f'action="/models/{model_id}' not in shown.text
