"""`vtt remote` against a real application over HTTP."""

from __future__ import annotations

import csv
import json
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import NoResultFound
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli.main import cli
from app.infra.clock import utc_now
from app.infra.tables import BatchRow, JobRow
from tests.app.exports.test_endpoints import make_like_a_worker
from tests.fixtures.band_images import LABELS, band_tiff
from tests.fixtures.batch_worker import predict_like_a_worker
from tests.fixtures.http_api import Api, encode_image
from vtt_client import BadInputError, GoneError

Run = Callable[..., str]


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a remote command on the service and return what it prints on standard output."""
    monkeypatch.setenv("VTT_URL", url)

    def start(*arguments: str, code: int = 0) -> str:
        with capture_logs():  # those of the application, which has the same standard output here
            result = CliRunner().invoke(cli, ["remote", *arguments])
        assert result.exit_code == code, result.output
        return result.stdout

    return start


def publish_soon(api: Api) -> None:
    """Be the worker of the next job."""

    def work() -> None:
        while not (waiting := _queued(api)):
            time.sleep(0.02)
        api.publish(waiting[0])

    threading.Thread(target=work, daemon=True).start()


def _queued(api: Api) -> list[str]:
    with api.context.readers() as session:
        return [row.id for row in session.query(JobRow).filter(JobRow.state == "queued", JobRow.created_at <= utc_now())]


@pytest.mark.slow
def test_the_way_from_a_folder_to_a_table(run: Run, api: Api, photos: Path, tmp_path: Path) -> None:
    set_id = run("upload", str(photos), "--name", "pets").strip()
    assert set_id.startswith("set_")
    publish_soon(api)
    model_id = run("train", set_id, "--method", "frozen", "--name", "pets").strip()
    assert model_id.startswith("mdl_")
    assert run("alias", "pets", model_id).strip() == run("alias", "pets").strip() == model_id
    assert json.loads(run("models", "--json"))["models"][0]["aliases"] == ["pets"]
    assert model_id in run("models")
    table = tmp_path / "found.csv"
    assert run("predict", "pets", str(photos), "--csv", str(table), code=2) == ""
    with table.open(newline="", encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["cat", "cat", "cat", "cat", ""]
    assert run("predict", "pets", str(photos / "cat/0.png")).startswith("0.png: cat 90.0 %")
    assert "accuracy 50 %" in run("evaluate", "pets", str(photos))
    saved = Path(run("export", "pets", str(tmp_path / "pets.zip")).strip())
    assert zipfile.is_zipfile(saved)


@pytest.mark.slow
def test_a_job_is_started_now_and_followed_later(run: Run, api: Api, photos: Path) -> None:
    set_id = json.loads(run("upload", str(photos), "--json"))["id"]
    job = json.loads(run("train", set_id, "--no-wait", "--set", "iterations=7", "--method", "clip-lora+vtt", "--json"))
    assert (job["state"], job["recipe"]["iterations"]) == ("queued", 7)
    threading.Timer(0.1, lambda: api.publish(job["id"])).start()
    assert json.loads(run("follow", job["id"], "--json"))["state"] == "succeeded"


def test_bands_are_sent_with_the_images_and_read_before_anything_is_sent(run: Run, api: Api, tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.tif").write_bytes(band_tiff(label, 0))
    made = json.loads(run("upload", str(tmp_path), "--bands", "4,3,2", "--stretch", "1,99.5", "--json"))
    assert (made["bands"], made["stretch"]) == ([4, 3, 2], [1, 99.5])
    refused = CliRunner().invoke(cli, ["remote", "upload", str(tmp_path), "--stretch", "1,99"])
    assert getattr(refused.exception, "code", None) == "bands.invalid"


@pytest.mark.slow
def test_a_batch_is_waited_for_or_fetched_later(run: Run, api: Api, photos: Path, tmp_path: Path) -> None:
    model_id, table = api.publish(), tmp_path / "found.csv"
    batch_id = run("batch", model_id, str(photos / "cat"), "--no-wait").strip()
    predict_like_a_worker(api, batch_id)
    assert run("result", batch_id, "--csv", str(table), code=2) == ""
    with table.open(newline="", encoding="utf-8") as file:
        assert [(row["file"], row["code"]) for row in csv.DictReader(file)] == [("0.png", ""), ("1.png", "image.not_an_image")]

    def work() -> None:
        while not (waiting := [one for one in _batches(api) if one != batch_id]):
            time.sleep(0.02)
        predict_like_a_worker(api, waiting[0])

    threading.Thread(target=work, daemon=True).start()
    found = json.loads(run("batch", model_id, str(photos), "--json", code=2))
    assert [one["file"] for one in found["predictions"]][0] == "cat/0.png"


def _batches(api: Api) -> list[str]:
    with api.context.readers() as session:
        return [row.id for row in session.query(BatchRow).filter(BatchRow.state == "queued")]


@pytest.mark.slow
def test_classes_are_added_and_other_forms_are_made_first(run: Run, api: Api, photos: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ncat/0.png,litter\n")
    set_id = run("upload", str(photos), "--groups", str(groups)).strip()
    publish_soon(api)
    model_id = run("train", set_id).strip()
    (photos / "cat").rename(tmp_path / "cat")
    (photos / "dog").rename(photos / "fox")
    (photos / "fox" / "1.png").write_bytes(encode_image(500))
    publish_soon(api)
    assert run("add-classes", model_id, str(photos)).strip() != model_id

    def work() -> None:
        while True:
            with suppress(NoResultFound):
                make_like_a_worker(api, model_id)
                return
            time.sleep(0.02)

    threading.Thread(target=work, daemon=True).start()
    saved = run("export", model_id, str(tmp_path / "onnx.zip"), "--kind", "onnx").strip()
    assert zipfile.ZipFile(saved).namelist() == ["onnx/README.md", "onnx/sub/model.bin"]


def test_what_is_deleted_is_gone(run: Run, api: Api) -> None:
    model_id = api.publish()
    run("alias", "pets", model_id)
    assert run("delete", "--alias", "pets") == "deleted pets\n"
    assert json.loads(run("delete", model_id, "--json")) == {"deleted": [model_id]}
    result = CliRunner().invoke(cli, ["remote", "export", model_id, "x.zip"])
    assert isinstance(result.exception, GoneError)


@pytest.mark.parametrize("value", ["iterations", "=7"])
def test_a_value_without_a_name_is_refused(value: str) -> None:
    result = CliRunner().invoke(cli, ["remote", "train", "set_1", "--set", value])
    assert getattr(result.exception, "code", None) == "recipe.invalid"


def test_an_address_that_is_none_is_bad_input() -> None:
    result = CliRunner().invoke(cli, ["remote", "models", "--url", "lab"])
    assert isinstance(result.exception, BadInputError)
