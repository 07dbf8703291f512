"""The client against a real application over HTTP."""

from __future__ import annotations

import csv
import threading
import zipfile
from pathlib import Path

import pytest

from app.domain.access import Scope
from app.infra.access_repository import AccessRepository
from app.infra.clock import utc_now
from tests.fixtures.http_api import Api, MakeApi, encode_image
from tests.fixtures.served_app import served_app
from vtt_client import (
    AccessError,
    BadInputError,
    Client,
    GoneError,
    InvalidError,
    JobFailedError,
    NotFoundError,
    Retries,
    TooLargeError,
    UnreachableError,
)
from vtt_core.contract.limits import Limits


def test_a_folder_is_uploaded_and_its_bad_file_named(url: str, photos: Path) -> None:
    told: list[tuple[int, int]] = []
    with Client(url) as client:
        made = client.upload(
            photos, name="pets", negative="dog", groups={"cat/0.png": "litter 1"}, progress=lambda *done: told.append(done)
        )
        assert (made.name, made.way, made.negative) == ("pets", 1, "dog")
        assert [(result.file, result.code) for result in made.refused] == [("dog/notes.txt", "image.not_an_image")]
        assert told[-1][0] == told[-1][1] > 0
        shown = client.support_set(made.id)
        assert {image.file: image.group for image in shown.images}["cat/0.png"] == "litter 1"
        assert [one.id for one in client.support_sets()] == [made.id]


def test_images_by_label_and_a_zip_are_uploaded_too(url: str, photos: Path, tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as packing:
        packing.writestr("fox/1.png", encode_image(7))
    with Client(url) as client:
        by_label = client.upload({"cat": [photos / "cat/0.png", ("other.png", encode_image(9))]})
        assert [(one.label, one.shot) for one in by_label.classes] == [("cat", 2)]
        assert [one.label for one in client.upload(archive).classes] == ["fox"]


def test_a_job_is_followed_to_its_model(url: str, api: Api, photos: Path) -> None:
    with Client(url) as client:
        made = client.upload(photos)
        job = client.train(made.id, method="frozen", name="pets", idempotency_key="one")
        assert client.train(made.id, method="frozen", name="pets", idempotency_key="one").id == job.id
        threading.Timer(0.1, lambda: api.publish(job.id)).start()
        events = list(client.follow(job.id))
        assert [event.data["state"] for event in events if event.kind == "state"][-1] == "succeeded"
        assert events[-1].is_end
        looks: list[str] = []
        done = client.wait(job.id, progress=lambda found: looks.append(found.state))
        assert (done.has_ended, looks) == (True, ["succeeded"])
        assert client.model(done.model_id or "").job_id == job.id


def test_a_cancelled_job_is_an_error_of_waiting(url: str, photos: Path) -> None:
    with Client(url) as client:
        job = client.train(client.upload(photos).id)
        with pytest.raises(TimeoutError, match="still queued"):
            client.wait(job.id, timeout_seconds=0)
        assert client.cancel(job.id).has_ended
        with pytest.raises(JobFailedError, match=r"job\.cancelled"):
            client.wait(job.id)


def test_some_images_are_predicted_in_their_order(url: str, api: Api, photos: Path) -> None:
    model_id = api.publish()
    with Client(url) as client:
        found = client.predict(model_id, [photos / "cat/0.png", ("b.png", encode_image(3))], coverage=0.8)
        assert [(one.file, one.label) for one in found] == [("0.png", "cat"), ("b.png", "cat")]
        with pytest.raises(InvalidError) as caught:
            client.predict(model_id, [("b.txt", b"no image")])
        assert (caught.value.code, caught.value.results[0]["code"]) == ("images.nothing_usable", "image.not_an_image")
        assert caught.value.request_id


def test_a_folder_is_predicted_in_requests_that_the_service_takes(make_api: MakeApi, photos: Path, tmp_path: Path) -> None:
    api = make_api(limits=Limits(max_query_images=2))
    told: list[tuple[int, int]] = []
    model_id = api.publish()
    with served_app(api.client.app) as url, Client(url) as client:
        with pytest.raises(TooLargeError):
            client.predict(model_id, [photos / "cat/0.png"] * 3)
        found = client.predict_folder(model_id, photos, progress=lambda *done: told.append(done))
    assert told == [(5, 5)]
    assert [one.file for one in found] == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/notes.txt"]
    with found.to_csv(tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["label"], rows[0]["p(cat)"], rows[4]["code"]) == ("cat", "0.9", "image.not_an_image")


def test_a_model_is_measured_named_saved_and_deleted(url: str, api: Api, photos: Path, tmp_path: Path) -> None:
    model_id = api.publish()
    with Client(url) as client:
        measured = client.evaluate(model_id, photos, name="other pets")
        assert measured.evaluations[0].accuracy.accuracy == 0.5
        assert [one.file for one in measured.refused] == ["dog/notes.txt"]
        assert client.point_alias("pets", model_id).model_id == model_id
        assert [alias.name for alias in client.aliases()] == ["pets"]
        assert [one.id for one in client.models()] == [model_id]
        saved = client.download("pets", tmp_path / "pets.zip")
        assert zipfile.ZipFile(saved).namelist() == ["manifest.json", "adapter.safetensors"]
        client.delete_alias("pets")
        client.delete(model_id)
        with pytest.raises(GoneError):
            client.model(model_id)
        with pytest.raises(NotFoundError):
            client.model("pets")
        with pytest.raises(BadInputError, match="begins with"):
            client.delete("pets")


def test_all_pages_of_a_list_are_read(url: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtt_client.answers.PAGE", 2)
    made = [api.upload() for _ in range(5)]
    with Client(url) as client:
        assert [one.id for one in client.support_sets()] == made[::-1]


def test_a_key_that_is_missing_is_an_error_of_access(make_api: MakeApi) -> None:
    with served_app(make_api(require_keys=True).client.app) as url, Client(url) as client:
        with pytest.raises(AccessError) as caught:
            client.models()
    assert (caught.value.status, caught.value.code) == (401, "access.key_required")


def test_a_key_opens_what_its_scopes_allow(make_api: MakeApi, photos: Path) -> None:
    api = make_api(require_keys=True)
    with api.context.sessions.begin() as session:
        access = AccessRepository(session)
        tenant = access.ensure_tenant("clinic", utc_now())
        both, only_predicts = (
            access.create_key(tenant.id, "", frozenset(scopes), utc_now()).text for scopes in (Scope, {Scope.PREDICT})
        )
    with served_app(api.client.app) as url, Client(url, both) as client, Client(url, only_predicts) as reader:
        assert client.upload(photos).way == 2
        assert reader.models() == []
        with pytest.raises(AccessError, match=r"access\.missing_scope"):
            reader.upload(photos)


def test_a_service_that_is_not_there_is_unreachable() -> None:
    with Client("http://127.0.0.1:9", retries=Retries(1, 0.01)) as client, pytest.raises(UnreachableError, match="vtt up"):
        client.models()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://lab", "", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadInputError, match="client.bad_url"):
        Client(url)


def test_a_folder_that_is_not_there_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(BadInputError, match="is no folder"):
        client.upload(tmp_path / "nowhere")
