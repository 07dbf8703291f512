"""Copies of support sets over HTTP: editable, with images of their own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.http_api import Api, encode_image

OWN = ("id", "links")


def show(api: Api, set_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(f"/v1/support-sets/{set_id}").json()
    return found


@pytest.fixture
def set_id(api: Api) -> str:
    """A set with a group, a negative class and an empty class."""
    files = [
        ("cat", ("1.png", encode_image(1))),
        ("other", ("2.png", encode_image(2))),
        ("dog", ("3.png", encode_image(3))),
        ("bird", ("4.png", b"nothing")),
    ]
    params = {"name": "pets", "negative": "other"}
    answer = api.client.post("/v1/support-sets", files=files, data={"groups": '{"1.png": "p 1"}'}, params=params)
    return str(answer.json()["id"])


def test_a_copy_is_like_the_original_with_ids_of_its_own(api: Api, set_id: str) -> None:
    answer = api.client.post(f"/v1/support-sets/{set_id}/copy")
    original, copy = show(api, set_id), answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/support-sets/{copy['id']}")
    assert copy == show(api, copy["id"])
    for key in ("name", "way", "classes", "negative", "empty_classes", "is_frozen", "advice"):
        assert copy[key] == original[key]
    images = [[{key: image[key] for key in image if key not in OWN} for image in one["images"]] for one in (original, copy)]
    assert images[0] == images[1]
    assert {image["id"] for image in original["images"]} & {image["id"] for image in copy["images"]} == set()


def test_a_copy_of_a_frozen_set_can_be_changed(api: Api) -> None:
    set_id = api.upload()
    api.start_job(set_id)
    image = show(api, set_id)["images"][0]
    refused = api.client.patch(image["links"]["self"], json={"label": "bird"})
    assert f"POST /v1/support-sets/{set_id}/copy" in refused.json()["remedy"]
    copy = api.client.post(f"/v1/support-sets/{set_id}/copy", params={"name": "again"}).json()
    assert (copy["is_frozen"], copy["frozen_at"], copy["name"]) == (False, None, "again")
    assert api.client.patch(copy["images"][0]["links"]["self"], json={"label": "bird"}).status_code == 200
    assert show(api, set_id)["images"][0] == image


@pytest.mark.parametrize("deleted", ["original", "copy"])
def test_deleting_one_leaves_the_other_whole(api: Api, set_id: str, deleted: str) -> None:
    copy = api.client.post(f"/v1/support-sets/{set_id}/copy").json()["id"]
    gone, left = (set_id, copy) if deleted == "original" else (copy, set_id)
    for image in show(api, gone)["images"]:
        assert api.client.get(image["links"]["thumbnail"]).status_code == 200
    assert api.client.delete(f"/v1/support-sets/{gone}").status_code == 204
    assert api.blobs(f"support-sets/{gone}") == []
    for image in show(api, left)["images"]:
        assert api.client.get(image["links"]["self"]).status_code == 200


def test_a_deleted_set_and_one_that_has_lost_an_image_leave_no_copy(api: Api, set_id: str) -> None:
    api.context.store.delete(f"support-sets/{set_id}/{show(api, set_id)['images'][1]['id']}")
    before = api.store_keys()
    assert api.client.post(f"/v1/support-sets/{set_id}/copy").json()["code"] == "gone"
    assert (api.store_keys(), len(api.client.get("/v1/support-sets").json()["items"])) == (before, 1)
    api.client.delete(f"/v1/support-sets/{set_id}")
    assert api.client.post(f"/v1/support-sets/{set_id}/copy").status_code == 410
    assert api.client.post("/v1/support-sets/set_none/copy").status_code == 404
