"""Exports over HTTP, up to the moment when a worker makes them."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest

from app.domain.errors import StoreUnavailableError
from app.domain.exports import MAX_EXPORT_ATTEMPTS
from app.domain.messages import ExportMessage
from app.infra.access_repository import UsageRepository
from app.infra.clearing import clear_exports
from app.infra.clock import utc_now
from app.infra.export_leases import ExportLease, ExportLeases
from app.infra.recovery import EXPORTS, release_expired_work
from app.infra.tables import ExportRow, ModelRow
from tests.fixtures.http_api import Api
from vtt_core.contract.errors import MissingPackageError
from vtt_core.contract.extras import install_extra

REPORT = {"files": {"README.md": 5, "sub/model.bin": 3}, "agreement": {"num_images": 2}}


def claim(api: Api, export_id: str, seconds: float = 60) -> ExportLease | None:
    with api.context.sessions.begin() as session:
        return ExportLeases(session).claim(export_id, "tester", seconds, utc_now())


def row_of(api: Api, model_id: str) -> ExportRow:
    with api.context.readers() as session:
        return session.query(ExportRow).filter(ExportRow.model_id == model_id).one()


def make_like_a_worker(api: Api, model_id: str) -> None:
    row = row_of(api, model_id)
    lease = claim(api, row.id)
    assert lease is not None
    api.context.store.put(f"{row.blob_key}/README.md", b"hello")
    api.context.store.put(f"{row.blob_key}/sub/model.bin", b"123")
    with api.context.sessions.begin() as session:
        ExportLeases(session).succeed(lease, REPORT, 8, utc_now())


def ask(api: Api, model_id: str, kind: str = "onnx") -> dict[str, object]:
    answer = api.client.post(f"/v1/models/{model_id}/exports/{kind}")
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def test_an_export_is_made_once_and_downloaded_as_the_same_zip_each_time(api: Api) -> None:
    model_id = api.publish()
    before = api.context.queue.depth(ExportMessage.queue_name)
    assert [ask(api, model_id)["state"], ask(api, model_id)["state"]] == ["queued", "queued"]
    assert api.context.queue.depth(ExportMessage.queue_name) == before + 1
    path = f"/v1/models/{model_id}/exports/onnx"
    waiting = api.client.get(path)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "export.not_ready")
    make_like_a_worker(api, model_id)
    made = ask(api, model_id)
    assert (made["state"], made["size_bytes"], made["report"]) == ("succeeded", 8, REPORT)
    assert made["links"] == {"model": f"/v1/models/{model_id}", "download": path}
    first, second = api.client.get(path), api.client.get(path)
    assert first.content == second.content
    assert first.headers["Content-Disposition"] == f'attachment; filename="{model_id}-onnx.zip"'
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "onnx/README.md": b"hello",
            "onnx/sub/model.bin": b"123",
        }
    assert api.client.get(f"/v1/models/{model_id}/exports").json()["items"] == [made]


def test_a_failed_export_says_why_and_is_tried_again_when_asked(api: Api) -> None:
    model_id = api.publish()
    ask(api, model_id)
    lease = claim(api, row_of(api, model_id).id)
    assert lease is not None
    missing = MissingPackageError(expected="the package onnx", got="none", remedy=install_extra("exports"))
    with api.context.sessions.begin() as session:
        ExportLeases(session).fail(lease, missing, utc_now())
    refused = api.client.get(f"/v1/models/{model_id}/exports/onnx").json()
    assert refused["code"] == "export.not_ready"
    assert refused["got"] == missing.got
    assert "'.[exports]'" in refused["remedy"]
    (listed,) = api.client.get(f"/v1/models/{model_id}/exports").json()["items"]
    assert listed["error"]["remedy"] == missing.remedy
    again = ask(api, model_id)
    assert (again["state"], again["error"]) == ("queued", None)


def test_an_export_of_a_lost_worker_is_made_by_another_and_fails_in_the_end(api: Api) -> None:
    model_id = api.publish()
    ask(api, model_id)
    export_id = row_of(api, model_id).id
    for _ in range(MAX_EXPORT_ATTEMPTS):
        lost = claim(api, export_id, seconds=60)
        assert lost is not None
        assert claim(api, export_id) is None
        later = utc_now() + timedelta(seconds=61)
        released = release_expired_work(EXPORTS, api.context.sessions, api.context.queue, later)
        assert released == ([export_id] if lost.attempt < MAX_EXPORT_ATTEMPTS else [])
    row = row_of(api, model_id)
    assert (row.state, row.error and row.error["code"]) == ("failed", "job.worker_lost")


def test_exports_go_with_their_model(api: Api) -> None:
    model_id = api.publish()
    ask(api, model_id)
    make_like_a_worker(api, model_id)
    assert any("exports/" in key for key in api.store_keys())
    assert api.client.delete(f"/v1/models/{model_id}").status_code == 204
    assert api.client.get(f"/v1/models/{model_id}/exports/onnx").status_code == 410
    assert len(clear_exports(api.context.sessions, api.context.store)) == 1
    assert not [key for key in api.store_keys() if "exports/" in key]
    assert clear_exports(api.context.sessions, api.context.store) == []


@pytest.mark.parametrize("kind", ["adapter", "report"])
def test_what_is_sent_at_once_need_not_be_made(api: Api, kind: str) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/exports/{kind}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("kind", ["tflite", "adapters", "onnx2"])
def test_a_form_that_is_none_is_refused_with_those_that_are(api: Api, kind: str) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/exports/{kind}")
    assert answer.status_code == 422
    assert "open_clip" in answer.text


def test_exports_stay_known_while_the_store_is_away_or_a_worker_is_at_them(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model_id = api.publish()
    ask(api, model_id)
    lease = claim(api, row_of(api, model_id).id)
    assert lease is not None
    assert api.client.delete(f"/v1/models/{model_id}").status_code == 204
    assert clear_exports(api.context.sessions, api.context.store) == []
    with api.context.sessions.begin() as session:
        ExportLeases(session).succeed(lease, REPORT, 8, utc_now())

    def refuse(_: str) -> None:
        raise StoreUnavailableError(expected="a store", got="none", remedy="Start it")

    with monkeypatch.context() as patch:
        patch.setattr(api.context.store, "delete_prefix", refuse)
        with pytest.raises(StoreUnavailableError):
            clear_exports(api.context.sessions, api.context.store)
    assert clear_exports(api.context.sessions, api.context.store) == [lease.export_id]


@pytest.mark.parametrize("method", ["frozen", "clip-lora-text+vtt", "coop", "maple+vtt"])
def test_a_model_without_a_lora_has_no_peft_form_and_is_told_at_once(api: Api, method: str) -> None:
    model_id = api.publish()
    with api.context.sessions.begin() as session:
        session.get_one(ModelRow, model_id).recipe = {"method": method}
    refused = api.client.post(f"/v1/models/{model_id}/exports/peft")
    assert (refused.status_code, refused.json()["code"]) == (409, "export.unsupported")
    assert repr(method) in refused.json()["got"]
    assert api.client.get(f"/v1/models/{model_id}/exports").json()["items"] == []
    ask(api, model_id, "onnx")


@pytest.mark.parametrize(
    ("backbone_id", "refused", "reason"),
    [
        ("PE-Core-B-16/meta", ["peft"], "whose q, k and v are one layer"),
        ("ViT-B-16-SigLIP2/webli", ["peft"], "whose q, k and v are one layer"),
        ("ViT-H-14/laion2b_s32b_b79k", ["web", "onnx"], "whose vision tower has 2.4 GiB"),
        ("ViT-B-16-quickgelu/openai", [], ""),
    ],
)
def test_a_backbone_without_a_form_is_told_at_once_and_in_the_list(
    api: Api, backbone_id: str, refused: list[str], reason: str
) -> None:
    model_id = api.publish()
    with api.context.sessions.begin() as session:
        model = session.get_one(ModelRow, model_id)
        model.backbone_id, model.recipe = backbone_id, {"method": "clip-lora+vtt"}
    forms = api.client.get(f"/v1/models/{model_id}/exports").json()["forms"]
    assert [form["kind"] for form in forms] == ["web", "onnx", "open_clip", "peft"]
    assert [form["kind"] for form in forms if not form["offered"]] == refused
    for form in forms:
        if form["offered"]:
            assert (form["reason"], form["remedy"]) == (None, None)
            ask(api, model_id, form["kind"])
        else:
            assert reason in form["reason"]
            answer = api.client.post(f"/v1/models/{model_id}/exports/{form['kind']}")
            assert (answer.status_code, answer.json()["code"]) == (409, "export.unsupported")
            assert answer.json()["remedy"] == form["remedy"]
            missing = api.client.get(f"/v1/models/{model_id}/exports/{form['kind']}")
            assert (missing.status_code, missing.json()["remedy"]) == (404, form["remedy"])


def test_an_export_that_nobody_asked_for_names_the_way_to_it(api: Api) -> None:
    model_id = api.publish()
    answer = api.client.get(f"/v1/models/{model_id}/exports/peft").json()
    assert (answer["code"], answer["remedy"]) == ("not_found", f"Ask for it with POST /v1/models/{model_id}/exports/peft")


def test_the_bytes_of_exports_count(api: Api) -> None:
    model_id = api.publish()
    with api.context.readers() as session:
        before = UsageRepository(session).size_bytes()
    ask(api, model_id)
    make_like_a_worker(api, model_id)
    with api.context.readers() as session:
        assert UsageRepository(session).size_bytes() == before + 8
