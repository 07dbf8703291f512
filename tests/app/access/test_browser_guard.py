"""A web page cannot use a service through the browser of somebody who can reach it."""

from __future__ import annotations

import httpx2
from sqlalchemy import Engine, event

from app.domain.batches import answered_row
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_leases import BatchLeases
from app.infra.clock import utc_now
from app.infra.tables import BatchRow
from tests.app.access.conftest import MakeCaller
from tests.app.exports.test_endpoints import make_like_a_worker
from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.contract.serving import Prediction

FORM = {"files": {"cat": ("a.png", encode_image(1))}}
FOREIGN = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}


def check_refused(answer: httpx2.Response, code: str, variable: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert variable in answer.json()["remedy"]
    assert answer.headers["X-Request-ID"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers


def test_a_foreign_page_uploads_nothing(api: Api) -> None:
    check_refused(api.client.post("/v1/support-sets", headers=FOREIGN, **FORM), "access.foreign_origin", "VTT_CORS_ORIGINS")
    assert api.client.get("/v1/support-sets").json()["items"] == []
    assert 'vtt_http_requests_total{method="POST",route="unmatched",status="403"} 1.0' in api.client.get("/metrics").text


def test_a_rebound_name_reads_nothing(api: Api) -> None:
    for path in ("/v1/models", "/readyz", "/metrics", "/docs"):
        check_refused(api.client.get(path, headers={"Host": "evil.example"}), "access.foreign_host", "VTT_ALLOWED_HOSTS")
    assert api.client.get("/livez", headers={"Host": "evil.example"}).status_code == 200


def test_an_allowed_name_and_an_allowed_page_are_answered(make_api: MakeApi) -> None:
    api = make_api(allowed_hosts=("vtt.example",), cors_origins=("https://lab.example",))
    headers = {"Host": "vtt.example", "Origin": "https://lab.example", "Sec-Fetch-Site": "cross-site"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    preflight = api.client.options("/v1/support-sets", headers=headers | asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "https://lab.example")
    answer = api.client.post("/v1/support-sets", headers=headers, **FORM)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (201, "https://lab.example")


def test_a_refusal_reads_nothing_of_the_body(api: Api) -> None:
    answer = api.client.post("/v1/jobs", headers=FOREIGN, content=b"{" * 2_000_000)
    assert answer.json()["code"] == "access.foreign_origin"  # not request.too_large


def test_a_keyed_service_checks_what_browsers_send_by_themselves(locked: Api, make_caller: MakeCaller) -> None:
    key = make_caller()
    assert locked.client.post("/v1/support-sets", headers=key | FOREIGN | {"Host": "evil.example"}, **FORM).status_code == 201
    with_cookie = locked.client.post("/v1/support-sets", headers=FOREIGN | {"Cookie": "session=1"}, **FORM)
    check_refused(with_cookie, "access.foreign_origin", "VTT_CORS_ORIGINS")
    assert locked.client.post("/v1/support-sets", headers=FOREIGN, **FORM).status_code == 401


def finished_batch(api: Api, model_id: str) -> str:
    """Send a batch and finish it like a worker."""
    sent = api.client.post(f"/v1/models/{model_id}/predictions", files={"images": ("a.png", encode_image(3))})
    batch_id = str(sent.json()["id"])
    with api.context.sessions.begin() as session:
        leases = BatchLeases(session)
        lease = leases.claim(batch_id, "tester", 60, utc_now())
        assert lease is not None
        blobs = BatchBlobs(api.context.store, session.get_one(BatchRow, batch_id).blob_key)
        blobs.put_results(0, [answered_row("a.png", Prediction({"cat": 1.0}))])
        leases.finish_chunk(lease, 1, 0, utc_now())
    return batch_id


def finished_export(api: Api, model_id: str) -> str:
    """Ask for an export and make it like a worker; return its form."""
    assert api.client.post(f"/v1/models/{model_id}/exports/onnx").status_code == 202
    make_like_a_worker(api, model_id)
    return "onnx"


def test_no_get_endpoint_writes(api: Api) -> None:
    model_id = api.publish()
    job_id = api.client.get(f"/v1/models/{model_id}").json()["job_id"]
    support_set_id = api.client.get(f"/v1/jobs/{job_id}").json()["support_set_id"]
    image_id = api.client.get(f"/v1/support-sets/{support_set_id}").json()["images"][0]["id"]
    api.client.put("/v1/aliases/best", json={"model_id": model_id})
    ids = {"job_id": job_id, "model": model_id, "support_set_id": support_set_id, "image_id": image_id, "name": "best"}
    ids["batch_id"] = finished_batch(api, model_id)
    ids["kind"] = finished_export(api, model_id)
    hook = {"url": "https://lab.example/", "events": ["job.failed"]}
    ids["webhook_id"] = api.client.post("/v1/webhooks", json=hook).json()["id"]
    labelled = [("cat", ("a.png", encode_image(4)))]
    evaluated = api.client.post(f"/v1/models/{model_id}/evaluations?keep_images=true", files=labelled).json()["evaluations"][0]
    ids["evaluation_id"] = evaluated["id"]
    kept = ids | {"image_id": evaluated["images"][0]["id"]}
    paths = [path for path, methods in api.client.app.openapi()["paths"].items() if "get" in methods]  # type: ignore[attr-defined]
    changes: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.split()[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
            changes.append(statement)

    assert api.context.reaper is not None
    assert api.context.webhooks is not None
    api.context.reaper.stop()
    api.context.webhooks.stop()
    event.listen(Engine, "before_cursor_execute", note)
    try:
        of = {path: kept if "{evaluation_id}" in path else ids for path in paths}
        statuses = {path: api.client.get(path.format(**of[path])).status_code for path in paths}
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(paths) >= 10
    assert {status for path, status in statuses.items() if path != "/readyz"} == {200}, statuses
    assert changes == []
