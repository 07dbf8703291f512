"""Small edits of a support set: move and rename images, rename classes and the set."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Response

from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.contract.limits import Limits


@pytest.fixture
def set_id(api: Api) -> str:
    """Three classes of two images."""
    colours = iter(range(6))
    return api.upload({label: [encode_image(next(colours)) for _ in range(2)] for label in ("cat", "dog", "bird")})


def show(api: Api, set_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(f"/v1/support-sets/{set_id}").json()
    return found


def shots(api: Api, set_id: str) -> list[tuple[str, int]]:
    return [(known["label"], known["shot"]) for known in show(api, set_id)["classes"]]


def change_image(api: Api, set_id: str, place: int, **change: Any) -> Response:
    image_id = show(api, set_id)["images"][place]["id"]
    return api.client.patch(f"/v1/support-sets/{set_id}/images/{image_id}", json=change)


def rename_class(api: Api, set_id: str, label: str, new_label: str) -> Response:
    return api.client.patch(f"/v1/support-sets/{set_id}/classes", params={"label": label}, json={"label": new_label})


def test_an_image_moves_to_another_class_and_the_classes_keep_their_order(api: Api, set_id: str) -> None:
    answer = change_image(api, set_id, 0, label="bird")
    assert (answer.status_code, answer.json()["label"]) == (200, "bird")
    assert shots(api, set_id) == [("cat", 1), ("dog", 2), ("bird", 3)]
    assert show(api, set_id)["images"][-1] == answer.json()


def test_an_image_moves_to_a_new_class(api: Api, set_id: str) -> None:
    assert change_image(api, set_id, 0, label="black_cat").json()["label"] == "black cat"
    assert shots(api, set_id) == [("cat", 1), ("dog", 2), ("bird", 2), ("black cat", 1)]


def test_a_class_whose_last_image_is_moved_is_gone(api: Api, set_id: str) -> None:
    assert api.client.patch(f"/v1/support-sets/{set_id}", json={"negative": "cat"}).status_code == 200
    for _ in range(2):
        last = len(show(api, set_id)["images"]) - 1
        places = [place for place in range(last + 1) if show(api, set_id)["images"][place]["label"] == "cat"]
        assert change_image(api, set_id, places[0], label="dog").status_code == 200
    assert shots(api, set_id) == [("dog", 4), ("bird", 2)]
    assert show(api, set_id)["negative"] is None
    assert change_image(api, set_id, 0, label="Cat").status_code == 200, "the label is free again"


def test_an_image_fills_an_empty_class(api: Api) -> None:
    files = [("cat", ("1.png", encode_image(1))), ("cat", ("2.png", encode_image(2))), ("dog", ("1.png", b"nothing"))]
    set_id = api.client.post("/v1/support-sets", files=files).json()["id"]
    assert change_image(api, set_id, 1, label="dog").status_code == 200
    assert (show(api, set_id)["empty_classes"], shots(api, set_id)) == ([], [("cat", 1), ("dog", 1)])


def test_the_file_and_the_group_of_an_image_change(api: Api, set_id: str) -> None:
    answer = change_image(api, set_id, 0, file="leaf 7.png", group=" plot  1 ")
    assert (answer.json()["file"], answer.json()["group"], answer.json()["label"]) == ("leaf 7.png", "plot 1", "cat")
    assert change_image(api, set_id, 0, group=None).json()["group"] is None
    assert show(api, set_id)["images"][0]["file"] == "leaf 7.png"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"label": "Dog"}, "support_set.same_tokens"),
        ({"label": "_"}, "support_set.bad_label"),
        ({"label": "a very long label " * 20}, "support_set.bad_label"),
        ({"group": "g" * 201}, "groups.invalid"),
        ({"file": ""}, "request.invalid"),
        ({"file": "a\nb"}, "request.invalid"),
        ({"label": None}, "request.invalid"),
        ({"shot": 3}, "request.invalid"),
        ({}, "request.invalid"),
    ],
)
def test_what_an_upload_refuses_a_change_refuses_too(api: Api, set_id: str, change: dict[str, Any], code: str) -> None:
    before = show(api, set_id)
    answer = change_image(api, set_id, 0, **change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert show(api, set_id) == before


def test_a_full_class_takes_no_more(make_api: MakeApi) -> None:
    api = make_api(limits=Limits(max_shot=1, max_way=2))
    set_id = api.upload()
    assert change_image(api, set_id, 0, label="dog").json()["code"] == "support_set.too_many_shots"
    assert change_image(api, set_id, 0, label="bird").status_code == 200, "its old class is gone, so there is room"


def test_a_class_is_renamed_in_its_place(api: Api, set_id: str) -> None:
    answer = rename_class(api, set_id, "cat", "tomato_leaf")
    assert answer.status_code == 200
    assert [known["label"] for known in answer.json()["classes"]] == ["tomato leaf", "dog", "bird"]
    assert [image["label"] for image in answer.json()["images"][:2]] == ["tomato leaf", "tomato leaf"]
    assert rename_class(api, set_id, "tomato leaf", "Tomato leaf").status_code == 200, "only its own old label is like it"
    assert rename_class(api, set_id, "dog", "dog").json() == show(api, set_id)


def test_the_negative_class_and_an_empty_one_are_renamed(api: Api) -> None:
    files = [("cat", ("1.png", encode_image(1))), ("x", ("2.png", encode_image(2))), ("dog", ("1.png", b"nothing"))]
    set_id = api.client.post("/v1/support-sets", files=files, params={"negative": "x"}).json()["id"]
    assert rename_class(api, set_id, "x", "CAT").json()["negative"] == "CAT", "no prompt says it"
    assert rename_class(api, set_id, "dog", "wolf").json()["empty_classes"] == ["wolf"]


@pytest.mark.parametrize(
    ("label", "new_label", "status", "code"),
    [
        ("cat", "dog", 409, "support_set.label_taken"),
        ("cat", "Dog", 422, "support_set.same_tokens"),
        ("cat", "  ", 422, "support_set.bad_label"),
        ("fish", "shark", 404, "not_found"),
    ],
)
def test_a_class_is_not_renamed_to_what_cannot_be_told_apart(
    api: Api, set_id: str, label: str, new_label: str, status: int, code: str
) -> None:
    before = show(api, set_id)
    answer = rename_class(api, set_id, label, new_label)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert show(api, set_id) == before


def test_a_set_is_renamed_even_if_a_job_has_frozen_it_and_nothing_else_of_it_changes(api: Api, set_id: str) -> None:
    assert api.client.patch(f"/v1/support-sets/{set_id}", json={"name": " leaves "}).json()["name"] == "leaves"
    api.start_job(set_id)
    assert api.client.patch(f"/v1/support-sets/{set_id}", json={"name": "leaves 2"}).json()["name"] == "leaves 2"
    before = show(api, set_id)
    refused = [
        change_image(api, set_id, 0, label="dog"),
        change_image(api, set_id, 0, group="g"),
        rename_class(api, set_id, "cat", "fish"),
        api.client.patch(f"/v1/support-sets/{set_id}", json={"name": "leaves 3", "negative": "cat"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "support_set.frozen")] * 4
    assert show(api, set_id) == before


def test_a_change_of_nothing_is_refused(api: Api, set_id: str) -> None:
    answer = api.client.patch(f"/v1/support-sets/{set_id}", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["expected"] == "a JSON object with at least one of `name`, `negative`, `bands`, `stretch`"
