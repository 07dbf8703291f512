"""Support sets over HTTP: send, add, take away, freeze, delete."""

from __future__ import annotations

import hashlib

import pytest

from app.infra.tables import SupportImageRow
from app.uploads import form
from tests.fixtures import planted_metadata as planted
from tests.fixtures.http_api import Api, encode_image, encode_zip
from vtt_core.ingest.decode import FORMATS, decode_image


def test_images_are_sent_in_fields_named_like_their_classes(api: Api) -> None:
    parts = [("annual_crop", ("a.png", encode_image(0))), ("Wald & Wiese \N{SNOWMAN}", ("b.png", encode_image(1)))]
    answer = api.client.post("/v1/support-sets", files=parts, params={"name": "fields"})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/support-sets/{body['id']}"
    assert body["name"] == "fields"
    assert body["classes"] == [
        {"label": "annual crop", "shot": 1, "role": "class"},
        {"label": "Wald & Wiese \N{SNOWMAN}", "shot": 1, "role": "class"},
    ]
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
    assert answer.json()["classes"] == [
        {"label": "cat", "shot": 2, "role": "class"},
        {"label": "dog", "shot": 1, "role": "class"},
    ]


def test_a_name_of_the_set_among_the_fields_is_no_class(api: Api) -> None:
    answer = api.client.post("/v1/support-sets", data={"name": "mine"}, files=[("dog", ("a.png", encode_image(0)))])
    assert answer.json()["empty_classes"] == []
    (refused,) = [result for result in answer.json()["results"] if result["status"] != 201]
    assert "?name=" in refused["remedy"]


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
        assert "/copy" in refused.json()["remedy"]


def test_a_class_is_left_out_with_its_images(api: Api) -> None:
    support_set_id = api.upload({"sea lake": [encode_image(0), encode_image(1)], "dog": [encode_image(2)]})
    here = f"/v1/support-sets/{support_set_id}"
    assert api.client.delete(f"{here}/classes", params={"label": "sea_lake"}).status_code == 204
    assert api.client.get(here).json()["classes"] == [{"label": "dog", "shot": 1, "role": "class"}]
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
    assert first["items"][0]["classes"] == [{"label": "cat", "shot": 1, "role": "class"}]


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


def test_a_full_queue_refuses_an_upload_before_its_form_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    set_id = api.upload()
    monkeypatch.setattr(form.SpooledForm, "__init__", None)  # nothing may come so far
    api.context.bounds.uploads.num_units = 10**12
    for path in ("/v1/support-sets", f"/v1/support-sets/{set_id}/images"):
        answer = api.client.post(path, files={"cat": ("a.png", encode_image())})
        assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")
        assert int(answer.headers["retry-after"]) > 0


def test_a_form_that_breaks_off_is_refused(api: Api) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="cat"; filename="a.png"\r\n\r\nhalf'
    answer = api.client.post("/v1/support-sets", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")


TOO_LONG = "plate " + "1234567890" * 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [("Star", "star"), ("\uff53\uff54\uff41\uff52", "star"), ("child\u2019s toy", "child's toy"), ("b&amp;w star", "b&w star")],
)
def test_a_label_that_the_text_encoder_reads_as_another_is_refused_with_both_named(api: Api, first: str, second: str) -> None:
    parts = [(label, (f"{place}.png", encode_image(place))) for place, label in enumerate((first, "rings", second))]
    answer = api.client.post("/v1/support-sets", files=parts)
    refused = answer.json()["results"][2]
    assert answer.status_code == 207
    assert (refused["status"], refused["code"]) == (422, "support_set.same_tokens")
    assert f"{first!r} and {second!r}" in refused["got"]
    assert [one["label"] for one in answer.json()["classes"]] == [first, "rings"]
    assert answer.json()["empty_classes"] == []


def test_a_label_that_reads_as_one_in_the_set_is_refused_when_images_are_added(api: Api) -> None:
    parts = [("Star", ("1.png", encode_image(1))), ("empty", ("2.png", b"text"))]
    here = f"/v1/support-sets/{api.client.post('/v1/support-sets', files=parts).json()['id']}"
    for label, known in (("star", "Star"), ("EMPTY", "empty")):
        answer = api.client.post(f"{here}/images", files=[(label, ("3.png", encode_image(3)))])
        (result,) = answer.json()["results"]
        assert (answer.status_code, result["code"]) == (422, "support_set.same_tokens")
        assert f"{known!r} and {label!r}" in result["got"]
    assert api.client.post(f"{here}/images", files=[("Star", ("3.png", encode_image(3)))]).status_code == 201


def test_a_label_too_long_for_the_prompt_is_refused_when_it_is_sent(api: Api) -> None:
    parts = [("cat", ("a.png", encode_image(0))), (TOO_LONG, ("b.png", encode_image(1)))]
    answer = api.client.post("/v1/support-sets", files=parts)
    assert answer.status_code == 207
    assert answer.json()["results"][1]["code"] == "support_set.bad_label"
    assert "86 tokens in the prompt of 'plate 12" in answer.json()["results"][1]["got"]


def test_advice_on_labels_comes_with_the_answer_and_with_the_set(api: Api) -> None:
    parts = [(label, (f"{place}.png", encode_image(place))) for place, label in enumerate(("AnnualCrop", "IMG", "star"))]
    answer = api.client.post("/v1/support-sets", files=parts).json()
    assert [(one["code"], one["label"], one["prompt"], one["suggestion"]) for one in answer["advice"]] == [
        ("label.camel_case", "AnnualCrop", "a photo of a AnnualCrop.", "annual crop"),
        ("label.placeholder", "IMG", "a photo of a IMG.", None),
    ]
    assert api.client.get(answer["links"]["self"]).json()["advice"] == answer["advice"]


class TestArchives:
    def send(self, api: Api, entries: dict[str, bytes]) -> tuple[int, dict[str, object]]:
        answer = api.client.post("/v1/support-sets", files={"archive": ("set.zip", encode_zip(entries))})
        return answer.status_code, answer.json()

    def test_train_is_the_set_and_a_notice_says_what_was_not_used(self, api: Api) -> None:
        paths = ("train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "test/3.png")
        status, body = self.send(api, {path: encode_image(place) for place, path in enumerate(paths)})
        assert status == 201
        assert body["classes"] == [{"label": "cat", "shot": 1, "role": "class"}, {"label": "dog", "shot": 1, "role": "class"}]
        assert body["notices"] == [
            "The support set was taken from 'train' (2 images). 'val' and 'test' were not used (2 images)."
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("entries", "code"),
        [
            ({f"site/{number % 7}/{number % 3}/{number}.png": b"x" for number in range(3000)}, "archive.bad_layout"),
            ({f"{number % 7}/{number}.txt": b"text" for number in range(3000)}, "image.not_an_image"),
            (
                {f"Star/{number}.png" if number % 2 else f"star/{number}.png": b"x" for number in range(3000)},
                "image.not_an_image",
            ),
        ],
        ids=["deep", "texts", "two causes"],
    )
    def test_3000_files_with_few_causes_are_few_errors(self, api: Api, entries: dict[str, bytes], code: str) -> None:
        status, body = self.send(api, entries)
        assert status == 422
        results = body.get("results")
        if results is None:
            assert body["code"] == code
            assert "3000" in str(body["got"])
            return
        assert isinstance(results, list)
        assert len(results) <= 2
        assert sum(result["count"] for result in results) == 3000
        assert code in {result["code"] for result in results}
        assert all(len(result["files"]) == 100 for result in results)

    def test_what_is_kept_and_what_is_grouped_adds_up(self, api: Api) -> None:
        entries = {f"cat/{number:04}.png": encode_image(number) for number in range(300)}
        entries |= {"dog/1.png": encode_image(1000), "dog/broken.png": b"text", "stray.png": encode_image(1001)}
        status, body = self.send(api, entries)
        assert status == 207
        results = body["results"]
        assert isinstance(results, list)
        assert sum(result["count"] for result in results) == len(entries)
        assert sum(result["status"] == 201 for result in results) == 17
        (grouped,) = [result for result in results if result["count"] > 1]
        assert (grouped["code"], grouped["label"], grouped["count"]) == ("support_set.too_many_shots", "cat", 284)
        assert grouped["files"][:2] == ["cat/0016.png", "cat/0017.png"]
        assert {result["code"] for result in results if result["status"] == 422 and result["count"] == 1} == {
            "image.not_an_image",
            "archive.bad_layout",
        }

    def test_a_folder_with_a_bad_label_is_counted_by_its_files(self, api: Api) -> None:
        entries = {f"{TOO_LONG}/{number}.png": encode_image(number) for number in range(8)} | {"cat/1.png": encode_image(99)}
        _, body = self.send(api, entries)
        results = body["results"]
        assert isinstance(results, list)
        assert [(result["status"], result["count"]) for result in results] == [(201, 1), (422, 8)]

    def test_fields_of_a_form_keep_one_result_each(self, api: Api) -> None:
        parts = [("cat", (f"{place}.png", b"text")) for place in range(20)] + [("dog", ("a.png", encode_image(0)))]
        results = api.client.post("/v1/support-sets", files=parts).json()["results"]
        assert [result["count"] for result in results] == [1] * 22


@pytest.mark.slow
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
        with api.context.readers() as session:
            stored = api.context.store.get(session.get_one(SupportImageRow, image["id"]).blob_key)
        assert planted.SECRET in content
        assert planted.SECRET not in stored
        assert b"xmpmeta" not in stored
        for pointer in (planted.GPS_POINTER, planted.EXIF_POINTER):
            assert pointer + b"\4\0" not in stored
            assert pointer[::-1] + b"\0\4" not in stored
        assert decode_image(stored).tobytes() == decode_image(content).tobytes()
        assert image["size_bytes"] == len(stored)
        assert image["sha256"] == hashlib.sha256(content).hexdigest()
