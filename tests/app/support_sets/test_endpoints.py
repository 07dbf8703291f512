"""Support sets over HTTP: send, add, take away, freeze, delete."""

from __future__ import annotations

import hashlib

import pytest

from app.infra.tables import SupportImageRow
from app.uploads import form
from tests.fixtures import planted_metadata as planted
from tests.fixtures.http_api import Api, encode_image, encode_zip
from vtt_core.images import FORMATS, decode_image


def test_images_are_sent_in_fields_named_like_their_classes(api: Api) -> None:
    parts = [("annual_crop", ("a.png", encode_image(0))), ("Wald & Wiese \N{SNOWMAN}", ("b.png", encode_image(1)))]
    answer = api.client.post("/v1/support-sets", files=parts, params={"name": "fields"})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/support-sets/{body['id']}"
    assert body["name"] == "fields"
    assert body["classes"] == [{"label": "annual crop", "shot": 1}, {"label": "Wald & Wiese \N{SNOWMAN}", "shot": 1}]
    assert [(result["file"], result["label"]) for result in body["results"]] == [
        ("a.png", "annual crop"),
        ("b.png", "Wald & Wiese \N{SNOWMAN}"),
    ]
    assert all(result["image_id"].startswith("img_") for result in body["results"])


def test_a_quotation_mark_in_a_label_arrives_as_it_was(api: Api) -> None:
    answer = api.client.post("/v1/support-sets", files=[('a "good" apple', ("a.png", encode_image(0)))])
    assert answer.json()["classes"][0]["label"] == 'a "good" apple'


def test_a_zip_has_a_folder_for_each_class(api: Api) -> None:
    archive = encode_zip({"set/dog/1.png": encode_image(0), "set/cat/1.png": encode_image(1), "set/cat/2.png": encode_image(2)})
    answer = api.client.post("/v1/support-sets", files={"archive": ("set.zip", archive)})
    assert answer.status_code == 201
    assert answer.json()["classes"] == [{"label": "cat", "shot": 2}, {"label": "dog", "shot": 1}]


def test_a_forgotten_at_sign_is_named(api: Api) -> None:
    answer = api.client.post("/v1/support-sets", data={"cat": "cat.jpg"}, files=[("dog", ("a.png", encode_image(0)))])
    text = next(result for result in answer.json()["results"] if result["code"] == "image.not_an_image")
    assert answer.json()["empty_classes"] == ["cat"]
    assert (answer.status_code, text["label"]) == (207, "cat")
    assert "'cat.jpg'" in text["got"]
    assert "@" in text["remedy"]


def test_a_set_shows_its_images_by_class_in_the_order_of_arrival(api: Api) -> None:
    parts = [("dog", ("1.png", encode_image(1))), ("cat", ("2.png", encode_image(2))), ("dog", ("3.png", encode_image(3)))]
    support_set_id = api.client.post("/v1/support-sets", files=parts).json()["id"]
    body = api.client.get(f"/v1/support-sets/{support_set_id}").json()
    assert [(image["label"], image["file"]) for image in body["images"]] == [
        ("dog", "1.png"),
        ("dog", "3.png"),
        ("cat", "2.png"),
    ]
    first = body["images"][0]
    assert (first["width"], first["height"], first["image_format"]) == (16, 16, "PNG")
    assert first["id"].startswith("img_")


def test_images_are_added_and_taken_away_until_a_job_freezes_the_set(api: Api) -> None:
    support_set_id = api.upload()
    here = f"/v1/support-sets/{support_set_id}"
    added = api.client.post(f"{here}/images", files=[("bird", ("x.png", encode_image(9)))])
    assert (added.status_code, added.json()["way"]) == (201, 3)
    image_id = added.json()["results"][0]["image_id"]
    assert api.client.delete(f"{here}/images/{image_id}").status_code == 204
    assert image_id not in api.blobs("support-sets")
    assert api.client.get(here).json()["way"] == 2
    assert api.client.delete(f"{here}/images/{image_id}").status_code == 404

    api.start_job(support_set_id)
    kept = api.client.get(here).json()
    assert kept["is_frozen"]
    for refused in (
        api.client.post(f"{here}/images", files=[("bird", ("x.png", encode_image(9)))]),
        api.client.delete(f"{here}/images/{kept['images'][0]['id']}"),
        api.client.delete(f"{here}/classes", params={"label": "cat"}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "support_set.frozen")
        assert "new support set" in refused.json()["remedy"]


def test_a_class_is_left_out_with_its_images(api: Api) -> None:
    support_set_id = api.upload({"sea lake": [encode_image(0), encode_image(1)], "dog": [encode_image(2)]})
    here = f"/v1/support-sets/{support_set_id}"
    assert api.client.delete(f"{here}/classes", params={"label": "sea_lake"}).status_code == 204
    assert api.client.get(here).json()["classes"] == [{"label": "dog", "shot": 1}]
    assert len(api.blobs("support-sets")) == 1
    assert api.client.delete(f"{here}/classes", params={"label": "sea lake"}).status_code == 404


def test_a_class_whose_images_are_all_bad_is_empty_until_a_good_one_comes(api: Api) -> None:
    parts = [("cat", ("a.png", encode_image(0))), ("dog", ("b.png", b"text"))]
    body = api.client.post("/v1/support-sets", files=parts).json()
    assert body["empty_classes"] == ["dog"]
    assert [result["code"] for result in body["results"][1:]] == ["image.not_an_image", "support_set.empty_class"]
    added = api.client.post(f"/v1/support-sets/{body['id']}/images", files=[("dog", ("c.png", encode_image(1)))])
    assert (added.status_code, added.json()["empty_classes"]) == (201, [])


def test_a_deleted_set_is_gone_with_its_images_but_not_while_a_job_needs_it(api: Api) -> None:
    support_set_id = api.upload()
    here = f"/v1/support-sets/{support_set_id}"
    job_id = api.start_job(support_set_id)
    busy = api.client.delete(here)
    assert (busy.status_code, busy.json()["code"]) == (409, "support_set.in_use")
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    assert api.client.delete(here).status_code == 204
    assert api.client.get(here).status_code == 410
    assert api.client.delete(here).status_code == 410
    assert api.client.post(f"{here}/images", files=[("cat", ("x.png", encode_image(9)))]).status_code == 410
    assert api.client.post("/v1/jobs", json={"support_set_id": support_set_id}).status_code == 410
    assert api.blobs("support-sets") == []
    assert api.client.get("/v1/support-sets").json()["items"] == []


def test_lists_are_paged_newest_first(api: Api) -> None:
    ids = [api.upload({"cat": [encode_image(place)]}) for place in range(3)]
    first = api.client.get("/v1/support-sets", params={"limit": 2}).json()
    second = api.client.get("/v1/support-sets", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert first["items"][0]["classes"] == [{"label": "cat", "shot": 1}]


@pytest.mark.parametrize(("cursor", "limit"), [("nonsense", 5), (None, 0), (None, 101)])
def test_a_wrong_page_is_refused(api: Api, cursor: str | None, limit: int) -> None:
    answer = api.client.get("/v1/support-sets", params={"cursor": cursor, "limit": limit} if cursor else {"limit": limit})
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/v1/support-sets/set_nothing", "/v1/support-sets/set_%00x", "/v1/support-sets/" + "x" * 300])
def test_an_unknown_set_is_not_found_or_refused(api: Api, path: str) -> None:
    answer = api.client.get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_no_form_is_refused(api: Api) -> None:
    answer = api.client.post("/v1/support-sets", json={"cat": "x"})
    assert (answer.status_code, answer.json()["code"]) == (415, "request.unsupported_media_type")
    empty = api.client.post("/v1/support-sets")
    assert empty.status_code == 415


def test_a_full_line_refuses_an_upload_before_its_form_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    set_id = api.upload()
    monkeypatch.setattr(form.SpooledForm, "__init__", None)  # nothing may come so far
    api.resources.bounds.uploads.num_pieces = 10**12
    for path in ("/v1/support-sets", f"/v1/support-sets/{set_id}/images"):
        answer = api.client.post(path, files={"cat": ("a.png", encode_image())})
        assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")
        assert int(answer.headers["retry-after"]) > 0


def test_a_form_that_breaks_off_is_refused(api: Api) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="cat"; filename="a.png"\r\n\r\nhalf'
    answer = api.client.post("/v1/support-sets", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")


@pytest.mark.parametrize("turn", [None, *range(1, 9)])
def test_no_image_is_stored_with_its_metadata(api: Api, turn: int | None) -> None:
    """Positions, serial numbers, maker notes, thumbnails, XMP, IPTC, comments, a zip behind the picture; every container."""
    sent = {name: make(turn) for name, make in planted.CONTAINERS.items() if name in FORMATS}
    answer = api.client.post("/v1/support-sets", files=[("cat", (name, content)) for name, content in sent.items()])
    assert answer.status_code == 201, answer.text
    images = api.client.get(f"/v1/support-sets/{answer.json()['id']}").json()["images"]
    assert [image["file"] for image in images] == list(sent)
    for image in images:
        content = sent[image["file"]]
        with api.resources.readers() as session:
            stored = api.resources.store.get(session.get_one(SupportImageRow, image["id"]).blob_key)
        assert planted.SECRET in content
        assert planted.SECRET not in stored
        assert b"xmpmeta" not in stored
        for pointer in (planted.GPS_POINTER, planted.EXIF_POINTER):
            assert pointer + b"\4\0" not in stored
            assert pointer[::-1] + b"\0\4" not in stored
        assert decode_image(stored).tobytes() == decode_image(content).tobytes()
        assert image["size_bytes"] == len(stored)
        assert image["sha256"] == hashlib.sha256(content).hexdigest()
