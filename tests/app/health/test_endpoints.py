"""Health over HTTP."""

import shutil

import pytest

from app.infra.settings import Role
from app.infra.workers import LiveWorker
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image
from vtt_core.contract.errors import BackboneUnavailableError

WORKER = LiveWorker("machine:1", "cpu", "mini", None)


def test_a_live_process_says_so(api: Api) -> None:
    assert api.client.get("/livez").json() == {"status": "alive"}


def test_one_machine_is_ready_once_its_worker_is_there(api: Api) -> None:
    before = api.client.get("/readyz")
    assert (before.status_code, before.json()["is_ready"]) == (503, False)
    assert before.json()["parts"]["worker"]["condition"] == "missing"
    api.context.workers.announce(WORKER)
    after = api.client.get("/readyz")
    assert (after.status_code, after.json()["is_ready"]) == (200, True)
    assert set(after.json()["parts"]) == {"database", "store", "disk", "queue", "worker", "jobs", "backbone"}
    assert "machine:1 on cpu" in after.json()["parts"]["worker"]["detail"]


def test_a_control_process_is_ready_without_workers_but_not_without_a_queue(make_api: MakeApi) -> None:
    ready = make_api(role=Role.CONTROL).client.get("/readyz")
    assert (ready.status_code, set(ready.json()["parts"])) == (200, {"database", "store", "disk", "queue", "worker", "jobs"})
    lost = make_api(role=Role.CONTROL, broker_url="redis://127.0.0.1:1/0").client.get("/readyz")
    assert (lost.status_code, lost.json()["parts"]["queue"]["condition"]) == (503, "missing")


def test_a_backbone_out_of_reach_is_named(make_api: MakeApi) -> None:
    failure = BackboneUnavailableError(expected="weights", got="no network", remedy="Download them")
    answer = make_api(role=Role.PREDICT, engine=FakeEngine(failure=failure)).client.get("/readyz")
    assert answer.status_code == 503
    assert "no network" in answer.json()["parts"]["backbone"]["detail"]


def test_too_little_disk_space_is_reported_and_refuses_only_new_work(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api()
    model_id, job_id = api.publish(), api.start_job()
    api.context.workers.announce(WORKER)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(total=10**12, free=200_000_000))
    ready = api.client.get("/readyz")
    disk = ready.json()["parts"]["disk"]
    assert (ready.status_code, disk["condition"]) == (200, "degraded")
    assert "store: 200 MB free, of which 268 MB are kept back" in disk["detail"]
    assert 'vtt_disk_free_bytes{files="store"} 2e+08' in api.client.get("/metrics").text
    set_id = api.client.get(f"/v1/jobs/{job_id}").json()["support_set_id"]
    upload = api.client.post("/v1/support-sets", files=[("cat", ("a", encode_image(1)))])
    job = api.client.post("/v1/jobs", json={"support_set_id": set_id})
    assert [(answer.status_code, answer.json()["code"]) for answer in (upload, job)] == 2 * [(507, "disk.full")]
    assert api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a", encode_image(1)))]).status_code == 200
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert api.client.delete(f"/v1/support-sets/{set_id}").status_code == 204


def test_metrics_speak_of_jobs_models_and_images(api: Api) -> None:
    model_id = api.publish()
    api.start_job()
    api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a", encode_image(1))), ("images", ("b", b""))])
    api.context.workers.announce(WORKER)
    lines = api.client.get("/metrics").text.splitlines()
    for line in (
        'vtt_jobs{state="queued"} 1.0',
        'vtt_jobs{state="succeeded"} 1.0',
        "vtt_models 1.0",
        "vtt_queue_messages 2.0",
        "vtt_live_workers 1.0",
        "vtt_resident_adapters 1.0",
        "vtt_resident_adapter_bytes 1000.0",
        "vtt_pinned_adapters 0.0",
        "vtt_adapter_hits_total 0.0",
        "vtt_adapter_evictions_total 0.0",
        "vtt_adapter_load_seconds_count 1.0",
        "vtt_adapter_misses_total 1.0",
        'vtt_batch_images_bucket{le="1.0"} 1.0',
        "vtt_batch_images_count 1.0",
        "vtt_batch_images_sum 1.0",
        "vtt_batch_seconds_sum 0.0",
        'vtt_predicted_images_total{outcome="answered"} 1.0',
        'vtt_predicted_images_total{outcome="image.empty"} 1.0',
        'vtt_received_images_total{outcome="kept"} 4.0',
        "vtt_predict_seconds_count 1.0",
    ):
        assert line in lines
