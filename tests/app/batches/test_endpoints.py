"""Batches over HTTP, up to the moment when a worker takes them."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import numpy as np
import pytest

from app.domain.messages import BatchMessage
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_leases import BatchLeases
from app.infra.clearing import clear_batches
from app.infra.clock import utc_now
from app.infra.tables import BatchRow
from tests.fixtures.batch_worker import predict_like_a_worker
from tests.fixtures.dicom_writer import PATIENT, write_dicom
from tests.fixtures.http_api import Api, MakeApi, encode_image, encode_zip
from vtt_core.contract.limits import Limits

ZIP = encode_zip(
    {
        "2024/May/a.png": encode_image(1),
        "b.jpg": encode_image(2),
        "2024/notes.txt": b"text",
        "__MACOSX/._a.png": b"left behind",
        ".DS_Store": b"left behind",
    }
)


def send(api: Api, model_id: str | None = None, content: bytes = ZIP, **parameters: object) -> dict[str, object]:
    path = f"/v1/models/{model_id or api.publish()}/predictions"
    answer = api.client.post(path, files={"archive": ("images.zip", content)}, params=parameters)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/predictions/{answer.json()['id']}"
    return dict(answer.json())


def test_a_zip_of_any_folders_is_queued_with_its_names_kept(api: Api) -> None:
    batch = send(api, name="May")
    assert (batch["name"], batch["state"], batch["total"], batch["done"], batch["refused"]) == ("May", "queued", 3, 0, 0)
    assert api.context.queue.depth(BatchMessage.queue_name) == 1
    with api.context.readers() as session:
        blobs = BatchBlobs(api.context.store, session.get_one(BatchRow, batch["id"]).blob_key)
    assert [image.file for image in blobs.images(0)] == ["2024/May/a.png", "b.jpg", "2024/notes.txt"]
    assert api.client.get(f"/v1/predictions/{batch['id']}").json() == batch
    assert api.client.get("/v1/predictions").json()["items"] == [batch]


def test_images_come_in_fields_too_and_a_model_by_its_alias(api: Api) -> None:
    model_id = api.publish()
    api.client.put("/v1/aliases/current", json={"model_id": model_id})
    api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": 0.02})
    images = [("images", (f"{place}.png", encode_image(place))) for place in range(70)]
    answer = api.client.post("/v1/models/current/predictions", files=images, params={"coverage": 0.8}).json()
    assert (answer["model_id"], answer["total"]) == (model_id, 70)
    assert (answer["coverage"], answer["false_rejects"]) == (0.8, 0.02)


@pytest.mark.parametrize(("backbone_id", "most"), [("mini", 256), ("ViT-B-32/random", 64)])
def test_a_chunk_is_work_of_seconds_on_any_backbone(api: Api, backbone_id: str, most: int) -> None:
    image = encode_image(1)
    batch = send(api, api.publish(backbone_id=backbone_id), encode_zip({f"{place}.png": image for place in range(most + 3)}))
    with api.context.readers() as session:
        row = session.get_one(BatchRow, batch["id"])
        blobs = BatchBlobs(api.context.store, row.blob_key)
    assert [len(blobs.images(chunk)) for chunk in range(row.num_chunks)] == [most, 3]


def test_the_result_is_json_or_csv_and_the_images_are_gone(api: Api) -> None:
    batch_id = send(api)["id"]
    early = api.client.get(f"/v1/predictions/{batch_id}/result")
    assert (early.status_code, early.json()["code"]) == (409, "batch.not_ready")
    predict_like_a_worker(api, str(batch_id))
    clear_batches(api.context.sessions, api.context.store, utc_now())  # type: ignore[arg-type]
    assert api.store_keys() != []
    assert [key for key in api.store_keys() if "/images/" in key] == []
    shown = api.client.get(f"/v1/predictions/{batch_id}").json()
    assert (shown["state"], shown["done"], shown["refused"], shown["seconds_left"]) == ("succeeded", 3, 1, None)
    result = api.client.get(shown["links"]["result"]).json()
    assert [row["file"] for row in result["predictions"]] == ["2024/May/a.png", "b.jpg", "2024/notes.txt"]
    assert (result["predictions"][0]["label"], result["predictions"][2]["code"]) == ("=dog", "image.not_an_image")
    as_csv = api.client.get(shown["links"]["csv"])
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert (rows[0]["file"], rows[0]["label"], rows[0]["probability"], rows[0]["cat"]) == (
        "2024/May/a.png",
        "'=dog",
        "0.75",
        "0.25",
    )
    assert (rows[0]["none_of_these"], rows[0]["prediction_set"]) == ("true", "'=dog")
    assert (rows[2]["label"], rows[2]["code"]) == ("", "image.not_an_image")
    assert rows[2]["reason"] == "expected an image, got text. Send an image"


def test_deleting_removes_everything_and_cancels(api: Api) -> None:
    batch_id = send(api)["id"]
    assert api.blobs("batches") != []
    assert api.client.delete(f"/v1/predictions/{batch_id}").status_code == 204
    assert api.blobs("batches") == []
    for path in ("", "/result"):
        assert api.client.get(f"/v1/predictions/{batch_id}{path}").status_code == 410
    assert api.client.get("/v1/predictions").json()["items"] == []
    with api.context.sessions.begin() as session:
        assert BatchLeases(session).claim(str(batch_id), "tester", 60, utc_now()) is None


def test_a_cancelled_batch_keeps_no_image_and_stays_in_the_list(api: Api) -> None:
    batch_id = send(api)["id"]
    for _ in range(2):
        answer = api.client.post(f"/v1/predictions/{batch_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert api.blobs("batches") == []
    assert api.client.get("/v1/predictions").json()["items"][0]["state"] == "cancelled"
    assert api.client.get(f"/v1/predictions/{batch_id}/result").json()["code"] == "batch.not_ready"


def test_a_batch_that_has_ended_cannot_be_cancelled(api: Api) -> None:
    batch_id = send(api)["id"]
    predict_like_a_worker(api, str(batch_id))
    answer = api.client.post(f"/v1/predictions/{batch_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "batch.ended")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([("archive", ("a.zip", b"no zip"))], 422, "archive.not_a_zip"),
        ([("archive", ("a.zip", encode_zip({".hidden": b"x"})))], 422, "request.invalid"),
        ([("picture", ("a.png", encode_image(1)))], 422, "request.invalid"),
        ([("images", ("a", encode_image(1)))] * 6, 413, "request.too_large"),
        ([("archive", ("a.zip", encode_zip({f"{place}.png": b"x" for place in range(6)})))], 413, "request.too_large"),
        ([("images", ("a", b"x" * 600))] * 2, 413, "request.too_large"),
    ],
)
def test_what_cannot_be_a_batch_is_refused_and_leaves_nothing(
    make_api: MakeApi, files: list[tuple[str, tuple[str, bytes]]], status: int, code: str
) -> None:
    api = make_api(limits=Limits(max_background_images=4, max_background_bytes=1000))
    answer = api.client.post(f"/v1/models/{api.publish()}/predictions", files=files)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert api.blobs("batches") == []
    assert api.client.get("/v1/predictions").json()["items"] == []
    with api.context.readers() as session:
        assert session.query(BatchRow).count() == 0


def test_images_of_a_process_that_died_while_it_stored_them_are_removed(api: Api) -> None:
    batch_id = send(api)["id"]
    with api.context.sessions.begin() as session:
        session.get_one(BatchRow, batch_id).state = "receiving"
    assert api.client.get(f"/v1/predictions/{batch_id}").status_code == 404
    assert clear_batches(api.context.sessions, api.context.store, utc_now()) == []  # type: ignore[arg-type]
    later = utc_now() + timedelta(hours=3)
    assert clear_batches(api.context.sessions, api.context.store, later) == [batch_id]  # type: ignore[arg-type]
    assert api.blobs("batches") == []


def test_too_many_images_for_predict_are_told_to_come_as_a_batch(api: Api) -> None:
    model_id = api.publish()
    for number in (65, 70):
        files = [("images", ("a", encode_image(1)))] * number
        refused = api.client.post(f"/v1/models/{model_id}/predict", files=files).json()
        assert refused["expected"] == "at most 64 images in a request"
        assert f"POST /v1/models/{model_id}/predictions" in refused["remedy"]


def test_a_dicom_file_waits_without_its_header(api: Api) -> None:
    scan = write_dicom(np.arange(256, dtype="u1").reshape(16, 16))
    batch = send(api, content=encode_zip({"a.dcm": scan, "broken.dcm": scan[:400]}))
    kept = b"".join(path.read_bytes() for path in api.context.settings.data_dir.rglob("*") if path.is_file())
    assert PATIENT.encode() not in kept
    with api.context.sessions.begin() as session:
        row = session.get_one(BatchRow, str(batch["id"]))
        images = BatchBlobs(api.context.store, row.blob_key).images(0)
    assert [image.content is None for image in images] == [False, True]
    assert images[1].refusal is not None
