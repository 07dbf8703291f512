"""What the client does with batches, webhooks, exports and evaluations, against a real application."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import pytest

from app.infra.clock import utc_now
from app.infra.export_leases import ExportLeases
from tests.app.exports.test_endpoints import claim, make_like_a_worker, row_of
from tests.fixtures.batch_worker import predict_like_a_worker
from tests.fixtures.http_api import Api, MakeApi, encode_image
from tests.fixtures.served_app import served_app
from vtt_client import BadInputError, BatchFailedError, Client, ConflictError, ExportFailedError, InvalidError, NotFoundError
from vtt_core.contract.errors import MissingPackageError


def test_a_folder_is_predicted_in_the_background(url: str, api: Api, photos: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    looks: list[str] = []
    with Client(url) as client:
        batch = client.start_batch(api.publish(), photos, name="trip", coverage=0.8, progress=lambda *done: told.append(done))
        assert (batch.name, batch.total, batch.coverage, told[-1][0]) == ("trip", 5, 0.8, told[-1][1])
        with pytest.raises(ConflictError, match=r"batch\.not_ready"):
            client.batch_result(batch.id)
        threading.Timer(0.1, lambda: predict_like_a_worker(api, batch.id)).start()
        done = client.wait_for_batch(batch.id, progress=lambda found: looks.append(found.state))
        assert (done.has_ended, done.refused, looks[-1]) == (True, 1, "succeeded")
        found = client.batch_result(batch.id)
        assert [one.file for one in found] == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/notes.txt"]
        assert found.to_csv(tmp_path / "found.csv").read_text().count("\n") == 6
        assert [one.id for one in client.batches()] == [batch.id]
        client.delete(batch.id)
        assert client.batches() == []


def test_single_images_and_a_zip_make_a_batch_too(url: str, api: Api, photos: Path, tmp_path: Path) -> None:
    model_id, archive = api.publish(), tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as packing:
        packing.write(photos / "cat/0.png", "far/away.png")
    with Client(url) as client:
        sources = [archive, photos / "cat/0.png", ("a.png", encode_image()), [photos / "cat/0.png", ("a.png", encode_image())]]
        assert [client.start_batch(model_id, source).total for source in sources] == [1, 1, 1, 2]
        (tmp_path / "empty").mkdir()
        with pytest.raises(BadInputError, match="has no file"):
            client.start_batch(model_id, tmp_path / "empty")


def test_a_cancelled_batch_is_an_error_of_waiting(url: str, api: Api, photos: Path) -> None:
    with Client(url) as client:
        batch = client.start_batch(api.publish(), photos)
        assert client.cancel_batch(batch.id).has_ended
        with pytest.raises(BatchFailedError, match=r"batch\.cancelled.*expected a batch that succeeds"):
            client.wait_for_batch(batch.id)


def test_an_export_is_asked_for_waited_for_and_saved(url: str, api: Api, tmp_path: Path) -> None:
    model_id = api.publish()
    with Client(url) as client:
        with pytest.raises(NotFoundError, match="Ask for it"):
            client.wait_for_export(model_id, "onnx")
        assert client.export(model_id, "onnx").state == "queued"
        with pytest.raises(ConflictError, match=r"export\.not_ready"):
            client.download(model_id, tmp_path / "onnx.zip", kind="onnx")
        threading.Timer(0.1, lambda: make_like_a_worker(api, model_id)).start()
        made = client.wait_for_export(model_id, "onnx")
        assert (made.has_ended, made.size_bytes, [one.kind for one in client.exports(model_id)]) == (True, 8, ["onnx"])
        saved = client.download(model_id, tmp_path / "onnx.zip", kind="onnx")
        assert zipfile.ZipFile(saved).namelist() == ["onnx/README.md", "onnx/sub/model.bin"]


def test_an_export_that_fails_says_why(url: str, api: Api) -> None:
    model_id = api.publish()
    with Client(url) as client:
        client.export(model_id, "onnx")
        lease = claim(api, row_of(api, model_id).id)
        assert lease is not None
        missing = MissingPackageError(expected="the package onnx", got="none", remedy="Install it")
        with api.context.sessions.begin() as session:
            ExportLeases(session).fail(lease, missing, utc_now())
        with pytest.raises(ExportFailedError) as caught:
            client.wait_for_export(model_id, "onnx")
        assert (caught.value.code, caught.value.remedy) == (missing.code, "Install it")


def test_a_webhook_is_made_shown_and_deleted(make_api: MakeApi) -> None:
    api = make_api(webhooks_may_reach_private=True)
    with served_app(api.client.app) as url, Client(url) as client:
        made = client.create_webhook("http://127.0.0.1:9/hook", ["batch.succeeded"])
        assert made.secret.startswith("whsec_")
        assert client.webhook(made.id).deliveries == []
        assert [one.events for one in client.webhooks()] == [["batch.succeeded"]]
        client.delete(made.id)
        assert client.webhooks() == []
        with pytest.raises(InvalidError, match=r"webhook\."):
            client.create_webhook("ftp://lab", ["batch.succeeded"])


@pytest.mark.slow
def test_two_models_are_compared_on_the_same_images(url: str, api: Api, photos: Path) -> None:
    one, other = api.publish(), api.publish()
    with Client(url) as client:
        measured = client.compare([one, other], photos, name="pets", keep_images=True).evaluations
        assert [found.model for found in measured] == [one, other]
        assert measured[1].compared is not None
        assert measured[1].compared.difference == 0
        assert {found.id for found in client.evaluations()} == {found.id for found in measured}
        assert [found.id for found in client.evaluations(other)] == [measured[1].id]
        assert client.evaluation(measured[0].id).confusion == measured[0].confusion
        client.delete(measured[0].id)


def test_a_model_is_renamed_pinned_and_looked_into(url: str, api: Api, photos: Path) -> None:
    model_id = api.publish()
    with Client(url) as client:
        assert client.change_model(model_id, false_rejects=0.1).false_rejects == 0.1
        renamed = client.change_model(model_id, name="pets")
        assert (renamed.name, renamed.false_rejects) == ("pets", 0.1)
        assert client.change_model(model_id, false_rejects=None).false_rejects is None
        assert (client.pin(model_id).pinned, client.unpin(model_id).pinned) == (True, False)
        seen = client.attention(model_id, photos / "cat/0.png")
        assert (seen.rows, seen.columns, seen.is_tuned) == (2, 2, True)
