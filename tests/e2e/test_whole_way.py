"""From a zip to a prediction, through the real processes."""

import io
import json
import zipfile
from pathlib import Path

import httpx2
import pytest

from app.cli.synthetic_images import write_folders
from tests.fixtures.answers import check_same_answers
from tests.fixtures.waiting import command_of
from vtt_client import Client
from vtt_core.contract.manifest import FORMAT_VERSION

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def synthetic_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_folders(folder, num_images=3)
    return folder


def zip_of(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder.parent))
        archive.writestr(f"{folder.name}/star/broken.png", b"not an image")
    return content.getvalue()


def test_a_zip_becomes_a_model_that_predicts(service_url: str, synthetic_images: Path, tmp_path: Path) -> None:
    http = httpx2.Client(base_url=service_url, timeout=60.0)
    with http, Client(service_url) as client:
        uploaded = http.post("/v1/support-sets", files={"archive": ("set.zip", zip_of(synthetic_images))})
        assert uploaded.status_code == 207
        refused = [result for result in uploaded.json()["results"] if result["status"] != 201]
        assert [(result["file"], result["code"]) for result in refused] == [("star/broken.png", "image.not_an_image")]

        request = {
            "support_set_id": uploaded.json()["id"],
            "backbone": "mini",
            "method": "clip-lora+vtt",
            "recipe": {"iterations": 3, "validation_folds": 2, "validation_iterations": 10},
            "seed": 7,
        }
        headers = {"Idempotency-Key": "whole-way"}
        started = http.post("/v1/jobs", json=request, headers=headers)
        again = http.post("/v1/jobs", json=request, headers=headers)
        assert started.status_code == 202
        job_id = started.json()["id"]
        assert again.json()["id"] == job_id
        early = http.post(f"/v1/models/{job_id}/predict", files={"images": (synthetic_images / "star/000.png").read_bytes()})
        assert (early.status_code, early.json()["code"]) == (409, "model.not_ready")

        events = list(client.follow(job_id))
        states = [event.data["state"] for event in events if event.kind == "state"]
        assert states == ["queued", "running", "verifying", "succeeded"]
        steps = [event.data for event in events if event.kind == "progress"]
        assert steps[-1]["step"] == steps[-1]["num_steps"] == 23
        assert {"classification_loss", "absorption_loss", "conflict_cosine", "is_absorbing", "seconds_left"} <= set(steps[-1])

        model_id = client.job(job_id).model_id
        assert model_id is not None
        model = client.model(model_id).model_dump()
        assert model["labels"] == ["chessboard", "polka dots", "rings", "star", "stripes"]
        assert {"training_accuracy", "expected_accuracy", "zero_shot", "linear_probe"} <= set(model["metrics"])
        report = http.get(model["links"]["report"])
        assert report.headers["content-type"].startswith("text/html")
        assert model_id in report.text
        assert {"training_accuracy", "zero_shot", "frozen_head", "choice"} <= set(model["metrics"])
        assert model["advice"] == model["metrics"]["advice"]

        files = [("images", (name, (synthetic_images / name).read_bytes())) for name in ("rings/000.png", "star/002.png")]
        first = http.post(f"/v1/models/{model_id}/predict", files=files)
        assert first.status_code == 200
        for prediction in first.json()["predictions"]:
            assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        by_field = http.post("/predict", files=files, data={"model": model_id})
        check_same_answers(by_field.json()["predictions"], first.json()["predictions"])

        export = http.get(f"/v1/models/{model_id}/exports/adapter")
        with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert manifest["format_version"] == FORMAT_VERSION
        assert manifest["seed"] == 7

        assert http.delete(f"/v1/models/{model_id}").status_code == 204
        gone = http.post(f"/v1/models/{model_id}/predict", files=files)
        assert gone.status_code == 410
        assert gone.headers["content-type"] == "application/problem+json"


@pytest.mark.slow
def test_a_class_is_added_to_a_model_that_then_knows_it(service_url: str, synthetic_images: Path) -> None:
    def files(*labels: str) -> list[tuple[str, tuple[str, bytes]]]:
        return [(label, (path.name, path.read_bytes())) for label in labels for path in (synthetic_images / label).iterdir()]

    http = httpx2.Client(base_url=service_url, timeout=60.0)
    with http, Client(service_url) as client:
        set_id = http.post("/v1/support-sets", files=files("rings", "star")).json()["id"]
        job_id = client.train(set_id, method="frozen").id
        assert [event.data["state"] for event in client.follow(job_id) if event.kind == "state"][-1] == "succeeded"
        base_id = client.job(job_id).model_id
        added = http.post(f"/v1/models/{base_id}/classes", files=files("stripes"))
        assert added.status_code == 202, added.text
        assert [event.data["state"] for event in client.follow(added.json()["id"])][-1] == "succeeded"
        model_id = client.job(added.json()["id"]).model_id
        assert model_id is not None
        model = client.model(model_id)
        assert model.labels == ["rings", "star", "stripes"]
        assert model.metrics.expected_accuracy is not None
        assert model.metrics.expected_accuracy.num_images == 9
        image = {"images": (synthetic_images / "stripes/000.png").read_bytes()}
        assert http.post(f"/v1/models/{model_id}/predict", files=image).json()["predictions"][0]["label"] == "stripes"


@pytest.mark.slow
def test_a_job_of_a_killed_worker_is_finished(service_url: str, synthetic_images: Path) -> None:
    import psutil

    def workers() -> list[psutil.Process]:
        return [child for child in psutil.Process().children(recursive=True) if command_of(child)[1:3] == ["-m", "worker"]]

    with Client(service_url) as client, httpx2.Client(base_url=service_url, timeout=60.0) as http:
        set_id = http.post("/v1/support-sets", files={"archive": ("set.zip", zip_of(synthetic_images))}).json()["id"]
        job_id = client.train(set_id, method="clip-lora+vtt", recipe={"iterations": 100}).id
        killed = 0
        for event in client.follow(job_id):
            if event.kind == "progress" and event.data["step"] >= 2 and not killed:
                for worker in workers():
                    worker.kill()
                    killed += 1
        job = client.job(job_id)
    assert killed == 1
    assert job.state == "succeeded", job.error
    assert job.attempt == 2
