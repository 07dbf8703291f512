"""From support set to prediction in the cluster of docker-compose.yml."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.cli.synthetic_images import write_folders
from tests.e2e.cluster import Cluster
from tests.fixtures.answers import check_same_answers
from tests.fixtures.http_api import encode_image

pytestmark = [pytest.mark.services, pytest.mark.slow]

LARGE_BYTES = 48 * 2**20


@pytest.fixture(scope="module")
def http(cluster: Cluster) -> Iterator[httpx2.Client]:
    """A client of the front proxy, with a key."""
    headers = {"Authorization": f"Bearer {cluster.key()}"}
    with httpx2.Client(base_url=cluster.url, timeout=60, trust_env=False, headers=headers) as client:
        yield client


def test_a_support_set_becomes_a_model_that_another_process_predicts_with(
    cluster: Cluster, http: httpx2.Client, tmp_path: Path
) -> None:
    write_folders(tmp_path, num_images=2)
    images = [(file.parent.name, (file.name, file.read_bytes())) for file in sorted(tmp_path.rglob("*.png"))]
    too_large = ("star", ("large.png", bytes(LARGE_BYTES)))
    uploaded = http.post("/v1/support-sets", files=[*images, too_large])
    assert uploaded.status_code == 207, uploaded.text
    assert [result["file"] for result in uploaded.json()["results"] if result["status"] != 201] == ["large.png"]

    cluster.wait_for_worker()
    body = {"support_set_id": uploaded.json()["id"], "method": "clip-lora+vtt", "recipe": {"iterations": 100}}
    started = http.post("/v1/jobs", json=body)
    assert started.status_code == 202, started.text
    job_url = f"/v1/jobs/{started.json()['id']}"
    with http.stream("GET", f"{job_url}/events") as events:
        lines = events.iter_lines()
        assert any(line.startswith("event:") for line in lines)
        # The first event came through the proxy while the job was running.
        assert http.get(job_url).json()["state"] in ("queued", "running", "verifying")
        assert any('"succeeded"' in line for line in lines)
    model_id = http.get(job_url).json()["model_id"]

    query = [("images", ("a.png", images[0][1][1])), ("images", ("b.png", images[-1][1][1]))]
    answer = http.post(f"/v1/models/{model_id}/predict", files=query)
    assert answer.status_code == 200, answer.text
    for prediction in answer.json()["predictions"]:
        assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    by_field = http.post("/predict", files=query, data={"model": model_id})
    check_same_answers(by_field.json()["predictions"], answer.json()["predictions"])

    export = http.get(f"/v1/models/{model_id}/exports/adapter")
    with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
        assert sorted(archive.namelist()) == ["adapter.safetensors", "manifest.json"]


def test_each_role_answers_for_its_own_paths(cluster: Cluster, http: httpx2.Client) -> None:
    to_control = httpx2.post(f"{cluster.control_url}/predict", headers=http.headers, timeout=60, trust_env=False)
    to_predict = httpx2.get(f"{cluster.predict_url}/v1/jobs", headers=http.headers, timeout=60, trust_env=False)
    assert (to_control.status_code, to_predict.status_code) == (404, 404)
    assert http.get("/v1/jobs").status_code == 200
    assert http.post("/predict").status_code not in (404, 502)


def test_metrics_and_health_stay_inside(cluster: Cluster, http: httpx2.Client) -> None:
    for path in ("/metrics", "/readyz"):
        assert httpx2.get(cluster.control_url + path, timeout=60, trust_env=False).status_code == 200
        assert http.get(path).status_code == 404
    assert http.get("/livez").status_code == 200


def test_the_callers_address_passes_the_proxy(cluster: Cluster, http: httpx2.Client) -> None:
    """The proxy trusts this machine, like a configured load balancer."""
    files = {"cat": ("a.png", encode_image())}
    answer = http.post("/v1/support-sets", files=files, headers={"X-Forwarded-For": "203.0.113.7"})
    assert answer.status_code == 201
    audit = cluster.call("api-control", cluster.vtt("keys", "audit", "--limit", "1", "--json"))
    [event] = json.loads(audit.stdout)["events"]
    assert (event["path"], event["address"]) == ("/v1/support-sets", "203.0.113.7")


def test_a_request_without_a_key_is_refused(cluster: Cluster) -> None:
    for method, path in (("GET", "/v1/jobs"), ("POST", "/predict"), ("POST", "/v1/support-sets")):
        assert httpx2.request(method, cluster.url + path, timeout=60, trust_env=False).status_code == 401
