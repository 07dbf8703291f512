"""Classes that are added to a model over HTTP: a copy of its images with the new ones, and a job on its tower."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Response

from tests.fixtures.band_images import LABELS, band_tiff
from tests.fixtures.http_api import Api, MakeApi, encode_image, encode_zip
from vtt_core.contract.limits import Limits

BIRD = [("bird", ("1.png", encode_image(70))), ("bird", ("2.png", encode_image(71)))]


@pytest.fixture
def model_id(api: Api) -> str:
    return api.publish()


def support_set_of(api: Api, job_id: str) -> dict[str, Any]:
    set_id = api.client.get(f"/v1/jobs/{job_id}").json()["support_set_id"]
    found: dict[str, Any] = api.client.get(f"/v1/support-sets/{set_id}").json()
    return found


def base_set_of(api: Api, model_id: str) -> dict[str, Any]:
    return support_set_of(api, api.client.get(f"/v1/models/{model_id}").json()["job_id"])


def add(api: Api, reference: str, files: Any = BIRD, **params: str) -> Response:
    return api.client.post(f"/v1/models/{reference}/classes", files=files, params=params)


def left_behind(api: Api) -> tuple[int, int]:
    """Number of blobs of support sets, and of jobs."""
    return len(api.blobs("support-sets")), len(api.client.get("/v1/jobs").json()["items"])


def test_images_of_many_bands_are_added_in_the_bands_of_the_model(api: Api) -> None:
    first, second = [(label, ("0.tif", band_tiff(label, 0))) for label in LABELS]
    made = api.client.post("/v1/support-sets", files=[first, second], params={"bands": "4,3,2", "stretch": "1,99"}).json()
    model_id = api.publish(api.start_job(made["id"]))
    added = add(api, model_id, [("clouds", ("9.tif", band_tiff(LABELS[0], 9)))])
    assert added.status_code == 202, added.text
    extended = support_set_of(api, added.json()["id"])
    assert (extended["way"], extended["bands"], extended["stretch"]) == (3, [4, 3, 2], [1, 99])


def test_a_job_is_queued_on_a_copy_of_the_images_with_the_new_ones(api: Api, model_id: str) -> None:
    old = base_set_of(api, model_id)
    answer = add(api, model_id, name="with birds")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["base_model_id"], job["num_steps"], job["name"]) == ("queued", model_id, 0, "with birds")
    base = api.client.get(f"/v1/models/{model_id}").json()
    assert (job["method"], job["backbone"]) == (base["method"], base["backbone"])
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert job["links"]["base_model"] == f"/v1/models/{model_id}"
    assert [(result["label"], result["status"]) for result in job["results"]] == [("bird", 201), ("bird", 201)]
    new = support_set_of(api, job["id"])
    assert [(known["label"], known["shot"]) for known in new["classes"]] == [("cat", 1), ("dog", 1), ("bird", 2)]
    assert (new["is_frozen"], new["name"]) == (True, "with birds")
    shown = ("file", "label", "sha256", "width", "size_bytes")
    assert [[image[key] for key in shown] for image in new["images"][:2]] == [[i[key] for key in shown] for i in old["images"]]
    assert {image["id"] for image in new["images"]} & {image["id"] for image in old["images"]} == set()


def test_the_copy_survives_the_old_support_set(api: Api, model_id: str) -> None:
    old = base_set_of(api, model_id)
    job = add(api, model_id).json()
    assert api.client.delete(f"/v1/support-sets/{old['id']}").status_code == 204
    assert api.blobs(f"support-sets/{job['support_set_id']}") == sorted(
        image["id"] for image in support_set_of(api, job["id"])["images"]
    )


def test_a_model_is_named_by_an_alias_as_well(api: Api, model_id: str) -> None:
    api.client.put("/v1/aliases/pets", json={"model_id": model_id})
    assert add(api, "pets").json()["base_model_id"] == model_id


def test_groups_and_a_negative_class_come_along(api: Api) -> None:
    files = [("cat", ("1.png", encode_image(1))), ("dog", ("1.png", encode_image(2))), ("other", ("1.png", encode_image(3)))]
    uploaded = api.client.post(
        "/v1/support-sets", files=files, data={"groups": '{"cat/1.png": "p 1"}'}, params={"negative": "other"}
    )
    model_id = api.publish(api.start_job(uploaded.json()["id"]))
    job = add(api, model_id, [*BIRD, ("groups", (None, '{"bird/1.png": "p 2"}'))]).json()
    new = support_set_of(api, job["id"])
    assert (new["negative"], new["way"]) == ("other", 3)
    assert [image["group"] for image in new["images"]] == ["p 1", None, None, "p 2", None]
    taken = add(api, model_id, [("other", ("9.png", encode_image(9)))])
    assert (taken.status_code, taken.json()["code"]) == (409, "model.class_exists")


@pytest.mark.parametrize(
    "files",
    [
        [("cat", ("9.png", encode_image(9)))],
        [*BIRD, ("  cat ", ("9.png", encode_image(9)))],
        [("archive", ("z.zip", encode_zip({"bird/1.png": encode_image(70), "dog/1.png": encode_image(9)})))],
    ],
    ids=["a field", "a field beside a new one", "an archive"],
)
def test_a_class_that_the_model_has_is_refused_as_a_whole(api: Api, model_id: str, files: Any) -> None:
    before = left_behind(api)
    answer = add(api, model_id, files)
    assert (answer.status_code, answer.json()["code"]) == (409, "model.class_exists")
    assert left_behind(api) == before


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("bird", ("1.png", encode_image(0)))], "support_set.conflicting_labels"),
        ([("Cat", ("1.png", encode_image(9)))], "support_set.same_tokens"),
        ([("bird", ("1.png", b"not an image"))], "image.not_an_image"),
        ([*BIRD, ("fish", ("1.png", b"not an image"))], "image.not_an_image"),
    ],
    ids=["an old image", "a label that is read as an old one", "no image", "no image of one of two"],
)
def test_a_class_without_a_usable_image_is_refused_and_nothing_is_stored(
    api: Api, model_id: str, files: Any, code: str
) -> None:
    before = left_behind(api)
    answer = add(api, model_id, files)
    assert (answer.status_code, answer.json()["code"]) == (422, "images.nothing_usable")
    codes = [result.get("code") for result in answer.json()["results"]]
    assert code in codes
    assert "support_set.empty_class" not in codes
    assert left_behind(api) == before


def test_images_that_cannot_be_used_are_named_and_the_others_taken(api: Api, model_id: str) -> None:
    answer = add(api, model_id, [*BIRD, ("bird", ("3.png", b"not an image"))])
    assert answer.status_code == 202
    assert [result["status"] for result in answer.json()["results"]] == [201, 201, 422]
    assert support_set_of(api, answer.json()["id"])["classes"][2] == {"label": "bird", "shot": 2, "role": "class"}


def test_a_form_without_images_is_refused(api: Api, model_id: str) -> None:
    answer = add(api, model_id, [("groups", (None, "{}"))])
    assert (answer.status_code, answer.json()["code"]) == (422, "images.nothing_usable")


def test_too_many_classes_are_refused(make_api: MakeApi) -> None:
    api = make_api(limits=Limits(max_way=2))
    answer = add(api, api.publish())
    assert answer.status_code == 422
    assert [result["code"] for result in answer.json()["results"]] == ["support_set.too_many_classes"] * 2


def test_a_model_without_its_images_says_what_to_do(api: Api, model_id: str) -> None:
    set_id = base_set_of(api, model_id)["id"]
    assert api.client.delete(f"/v1/support-sets/{set_id}").status_code == 204
    answer = add(api, model_id)
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert set_id in answer.json()["got"]
    assert "POST /v1/support-sets" in answer.json()["remedy"]


def test_images_that_vanish_while_they_are_copied_leave_nothing_behind(api: Api, model_id: str) -> None:
    old = base_set_of(api, model_id)
    api.context.store.delete(f"support-sets/{old['id']}/{old['images'][1]['id']}")
    before = left_behind(api)
    assert (add(api, model_id).status_code, left_behind(api)) == (410, before)


def test_a_deleted_model_and_a_job_without_one_are_refused(api: Api, model_id: str) -> None:
    api.client.delete(f"/v1/models/{model_id}")
    assert add(api, model_id).status_code == 410
    assert add(api, api.start_job()).json()["code"] == "model.not_ready"
    assert add(api, "nothing").status_code == 404


def add_once(api: Api, model_id: str, files: Any = BIRD, key: str = "k", **params: str) -> Response:
    headers = {"Idempotency-Key": key}
    return api.client.post(f"/v1/models/{model_id}/classes", files=files, params=params, headers=headers)


def test_the_same_request_with_its_key_starts_one_job(api: Api, model_id: str) -> None:
    sent = [*BIRD, ("bird", ("3.png", b"not an image"))]
    first = add_once(api, model_id, sent)
    before = left_behind(api)
    again = add_once(api, model_id, sent)
    assert (again.status_code, again.headers["Location"]) == (202, first.headers["Location"])
    assert {**again.json(), "results": [], "notices": []} == {**first.json(), "results": [], "notices": []}
    assert again.json()["results"] == first.json()["results"][:2]
    assert "came before" in again.json()["notices"][0]
    assert left_behind(api) == before


def test_a_repeated_request_is_answered_after_the_model_and_its_images_are_gone(api: Api, model_id: str) -> None:
    first = add_once(api, model_id).json()
    published = api.publish(first["id"])
    for path in (f"models/{model_id}", f"support-sets/{first['support_set_id']}"):
        assert api.client.delete(f"/v1/{path}").status_code == 204
    again = add_once(api, model_id).json()
    assert (again["id"], again["state"], again["model_id"], again["results"]) == (first["id"], "succeeded", published, [])


@pytest.mark.parametrize(
    ("files", "params"),
    [
        ([("bird", ("1.png", encode_image(72))), BIRD[1]], {}),
        ([("fish", BIRD[0][1]), BIRD[1]], {}),
        (BIRD[:1], {}),
        (BIRD, {"name": "other"}),
    ],
    ids=["other bytes", "another class", "fewer images", "another name"],
)
def test_another_request_with_a_key_that_came_before_is_refused(
    api: Api, model_id: str, files: Any, params: dict[str, str]
) -> None:
    assert add_once(api, model_id).status_code == 202
    before = left_behind(api)
    answer = add_once(api, model_id, files, **params)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency.conflict")
    assert left_behind(api) == before
    assert add_once(api, model_id, files, key="another", **params).status_code == 202


def test_a_key_of_a_new_job_is_none_of_added_classes(api: Api, model_id: str) -> None:
    request = {"json": {"support_set_id": api.upload()}, "headers": {"Idempotency-Key": "k"}}
    assert api.client.post("/v1/jobs", **request).status_code == 202
    assert add_once(api, model_id).json()["code"] == "idempotency.conflict"


def test_requests_with_one_key_at_the_same_time_start_one_job(api: Api, model_id: str) -> None:
    before = left_behind(api)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: add_once(api, model_id), range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert left_behind(api) == (before[0] + 4, before[1] + 1)
